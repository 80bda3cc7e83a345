"""How long the body of a request may be, by its path: known before any of it is read."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from flask import Flask

_ATTRIBUTE: Final = "parley_max_body_bytes"

View = TypeVar("View", bound=Callable[..., Any])


def takes_at_most(max_bytes: int) -> Callable[[View], View]:
    """Declare that a view's route takes bodies of at most so many bytes, where that is less than any may have."""

    def declare(view: View) -> View:
        setattr(view, _ATTRIBUTE, max_bytes)
        return view

    return declare


def by_path(app: Flask, max_body_bytes: int) -> Mapping[str, int]:
    """Return the longest body of each path that takes one: any other path's is not even read.

    Raises:
        ValueError: a route that takes bodies has a variable part, so that its paths cannot be listed.
    """
    limits: dict[str, int] = {}
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()):
            continue
        if rule.arguments:
            raise ValueError(f"{rule.rule}: paths that take bodies must be constant")
        declared = getattr(app.view_functions[rule.endpoint], _ATTRIBUTE, max_body_bytes)
        limits[rule.rule] = max(limits.get(rule.rule, 0), min(declared, max_body_bytes))
    return limits

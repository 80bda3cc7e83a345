"""What was probably meant by a name that is not there."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jmespath

from pipelines.sources.interpreter import Node


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name that is most like one; None where none is."""
    found = difflib.get_close_matches(name, list(known), 1, 0.6)
    return found[0] if found else None


def misspelt(expression: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield which names of an expression are not there, where something like them is."""
    for steps in _chains(jmespath.compile(expression).parsed):
        value: Any = values
        for number, step in enumerate(steps):
            if not isinstance(value, dict):
                break
            if step not in value:
                if (meant := nearest(step, value)) is not None:
                    around = ".".join(steps[:number])
                    yield f"{around} has no {step}, but {meant}"
                break
            value = value[step]


def _chains(node: Node) -> Iterator[tuple[str, ...]]:
    """Yield the longest chains of names that an expression has, from the names of the context on."""
    chain = _chain(node)
    if chain:
        yield chain
        return
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _chains(child)


def _chain(node: Node) -> tuple[str, ...]:
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] == "subexpression" and (first := _chain(node["children"][0])):
        second = node["children"][1]
        return (*first, second["value"]) if second["type"] == "field" else ()
    return ()

"""The sources: one module each, giving the routes that take the source's webhooks.

A source module has one public function,

    def blueprint(settings: Settings) -> Blueprint | None

which reads the source's own `PARLEY_<SOURCE>_*` variables and returns its routes, or None where
the source is not configured: then its URLs answer 404. The blueprint is named after the source.
A route verifies the request over `request.get_data()` (read *before* `request.form`, which would
leave it empty), calls `reject` where that fails, and else returns `receive(...)`.
"""

import importlib
import pkgutil
from collections.abc import Iterator

from flask import Blueprint

from receiver.config import Settings


def blueprints(settings: Settings) -> Iterator[Blueprint]:
    """Yield the routes of every source that is configured, leaving problems in the settings."""
    known = sorted(module.name for module in pkgutil.iter_modules(__path__))
    for name in settings.names("ALLOW_UNSIGNED") - set(known):
        settings.problems.append(
            f"PARLEY_ALLOW_UNSIGNED names {name[:40]!r}, which is not a source ({', '.join(known)})"
        )
    for name in known:
        source = importlib.import_module(f"{__name__}.{name}").blueprint(settings)
        if source is not None:
            yield source

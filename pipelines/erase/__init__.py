"""Erases a person, everywhere, and proves it: `docs/privacy.md` says what that means."""

from pipelines.erase.apply import apply
from pipelines.erase.plan import plan
from pipelines.erase.verify import verify

__all__ = ["apply", "plan", "verify"]

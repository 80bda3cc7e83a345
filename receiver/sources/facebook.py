"""Messenger and Instagram, which share one endpoint."""

from flask import Blueprint

from receiver.config import Settings
from receiver.web import meta


def blueprint(settings: Settings) -> Blueprint | None:
    """Return the routes, or None where no app secret is set.

    An app that uses Instagram Login signs with its Instagram app secret: list both.
    """
    return meta.blueprint("facebook", settings)

"""The WhatsApp Business Platform: the Cloud API, and whatever sends the on-premises shape signed like it."""

from flask import Blueprint

from receiver.config import Settings
from receiver.web import meta


def blueprint(settings: Settings) -> Blueprint | None:
    """Return the routes, or None where no app secret is set."""
    return meta.blueprint("whatsapp", settings)

"""Delivers webhooks to whoever listens: signed, when they are due, and tried again where nobody takes them."""

import heapq
import itertools
import json
import logging
import threading
import urllib.error
import urllib.request
from typing import Final, NamedTuple
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

from pipelines.sandbox.clock import Clock
from receiver.proofs.signatures import hmac_hex

_PATIENCE: Final = 10.0
_PAUSE: Final = 0.02
_RETRIES: Final = (0.5, 2.0, 5.0, 15.0)
"""Seconds until the next attempt; then the webhook is given up, as providers do after hours."""
_log = logging.getLogger(__name__)


class Webhook(NamedTuple):
    """A request that is to be made."""

    url: str
    content: bytes
    headers: dict[str, str]


class Delivered(NamedTuple):
    """A request that was made, and how it was answered; 0 where it was not."""

    url: str
    content: bytes
    status: int


def graph(url: str, payload: object, secret: str) -> Webhook:
    """Return a webhook of Graph, signed over its bytes with the app secret.

    https://developers.facebook.com/docs/graph-api/webhooks/getting-started#event-notifications
    """
    content = json.dumps(payload, separators=(",", ":")).encode()
    signature = f"sha256={hmac_hex(secret, content)}"
    return Webhook(url, content, {"Content-Type": "application/json", "X-Hub-Signature-256": signature})


def twilio(url: str, form: dict[str, str], token: str) -> Webhook:
    """Return a webhook of Twilio, signed over the URL and the form with the auth token.

    https://www.twilio.com/docs/usage/webhooks/webhooks-security
    """
    signature = RequestValidator(token).compute_signature(url, form)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    return Webhook(url, urlencode(form).encode(), headers)


class Deliveries:
    """Webhooks that wait for their time, and a thread that makes the requests one after the other."""

    def __init__(self, clock: Clock) -> None:
        self.made: list[Delivered] = []
        self._clock = clock
        self._waiting: list[tuple[float, int, int, Webhook]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._busy = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="sandbox-webhooks", daemon=True)
        self._thread.start()

    def add(self, seconds: float, webhook: Webhook) -> None:
        """Deliver a webhook after so many seconds of the sandbox's time."""
        self._add(seconds, 0, webhook)

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is due any more; False where that takes longer than so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy and not self._due(), seconds)

    def close(self) -> None:
        """Deliver nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _add(self, seconds: float, attempts: int, webhook: Webhook) -> None:
        with self._changed:
            due = self._clock.now() + seconds
            heapq.heappush(self._waiting, (due, next(self._numbers), attempts, webhook))
            self._changed.notify_all()

    def _due(self) -> bool:
        return bool(self._waiting) and self._waiting[0][0] <= self._clock.now()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._due():
                    self._busy = False
                    self._changed.notify_all()
                    # Short, since nobody tells when a clock has moved.
                    self._changed.wait(_PAUSE)
                if self._closed:
                    return
                _, _, attempts, webhook = heapq.heappop(self._waiting)
                self._busy = True
            status = _request(webhook)
            self.made.append(Delivered(webhook.url, webhook.content, status))
            if not 200 <= status < 300 and attempts < len(_RETRIES):
                self._add(_RETRIES[attempts], attempts + 1, webhook)


def _request(webhook: Webhook) -> int:
    request = urllib.request.Request(webhook.url, webhook.content, webhook.headers)  # noqa: S310 - checked before
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError as error:
        _log.warning("nobody takes webhooks at %s: %s", webhook.url.partition("?")[0], error)
        return 0

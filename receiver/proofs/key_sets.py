"""Keys that senders publish: fetched by a thread of its own, so that no request waits for another machine."""

import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, Final

from receiver.proofs.public_keys import LARGEST_FILE, Key, of_jwks

REFRESH_SECONDS: Final = 3600.0
"""How often keys are fetched again."""
RETRY_SECONDS: Final = 60.0
"""How long after a fetch the next one may follow, after an error or for a key that is not known."""
FETCH_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


class KeysMissingError(Exception):
    """The keys by which a request could be proven have not come yet: its sender should try again."""


class RemoteKeys:
    """The keys of an address. The first request starts to fetch them, in its process, after any fork."""

    def __init__(self, url: str, fetch: Callable[[str], str] | None = None) -> None:
        self._url = url
        self._fetch = fetch or fetched
        self._keys: Sequence[Key] = ()
        self._wanted = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._fetched_at = -RETRY_SECONDS

    def find(self, kid: str | None) -> list[Key]:
        """Return the keys of a name, all where a token names none.

        Raises:
            KeysMissingError: there are none, or a key is unknown and the keys will be fetched again.
        """
        self._start()
        found = [key for key in self._keys if kid is None or key.kid == kid]
        if found:
            return found
        if not self._keys or time.monotonic() - self._fetched_at >= RETRY_SECONDS:
            self._wanted.set()
            raise KeysMissingError(self._url)
        return []

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="key-set", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wanted.clear()
            waits = REFRESH_SECONDS
            try:
                self._keys = of_jwks(self._fetch(self._url))
            except Exception as error:
                # Whatever another machine answers: the keys that are known stay, and it is asked again.
                _log.warning("keys of %s: %s: %s", self._url, type(error).__name__, error)
                waits = RETRY_SECONDS
            self._fetched_at = time.monotonic()
            self._wanted.wait(waits)
            # Whoever wants an unknown key has to wait as well: each token could name another one.
            time.sleep(max(0.0, self._fetched_at + RETRY_SECONDS - time.monotonic()))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses to be sent elsewhere: the address is the trust."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def fetched(url: str) -> str:
    """Return the text of an address.

    Raises:
        OSError: there is no answer in time, or none with 200.
        ValueError: it is too long, or no UTF-8.
    """
    opener = urllib.request.build_opener(_NoRedirects)
    with opener.open(url, timeout=FETCH_SECONDS) as answer:
        text = answer.read(LARGEST_FILE + 1)
    if len(text) > LARGEST_FILE:
        raise ValueError(f"more than {LARGEST_FILE:,} bytes")
    return str(text, "utf-8")

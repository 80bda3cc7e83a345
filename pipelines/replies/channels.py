"""The channels that may send, with their tokens: from a file or the environment, none by default."""

import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

CHANNELS: Final = "PARLEY_SEND_CHANNELS"
CHANNELS_FILE: Final = f"{CHANNELS}_FILE"
ANY: Final = "*"
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most so many in so many seconds, whenever these begin."""

    most: int
    seconds: float


CHANNEL_RATES: Final = {
    "whatsapp": Rate(80, 1.0),
    "facebook": Rate(300, 1.0),
    "instagram": Rate(300, 1.0),
    "twilio": Rate(100, 1.0),
}
"""https://developers.facebook.com/docs/whatsapp/cloud-api/overview#throughput; Twilio's depends on the number."""
PERSON_RATES: Final = {"whatsapp": Rate(45, 270.0)}
"""https://developers.facebook.com/docs/whatsapp/cloud-api/overview#pair-rate-limits: one in 6 s, 45 at once."""


class Channel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to send from one channel."""

    token: str
    """Graph's access token; Twilio's auth token, or the secret of its `key`."""
    key: str = ""
    """The SID of an API key of Twilio's, which can do less than the auth token, and be revoked alone."""
    app_secret: str = ""
    """The secret of Graph's app, for apps that take calls only with a proof of it."""
    account: str = ""
    """Twilio's account SID; of Graph, the id in the path where that is not the channel's own."""
    url: str = ""
    """Where this channel's API is, if elsewhere than the others'."""
    rate: Rate | None = None
    """Other than the provider's usual one, which `CHANNEL_RATES` has."""
    counts_inbound: bool = False
    """Whether the provider counts what people write as well, as of WhatsApp numbers shared with the app."""

    def __repr__(self) -> str:
        # Without the token, wherever it may be printed.
        return f"Channel(account={self.account!r}, url={self.url!r})"


class ChannelsError(ValueError):
    """The configuration of the channels is wrong; the text holds none of its tokens."""


class Channels:
    """Channels by source and id; a file is read again when it has changed, so that a token can be exchanged."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read the channels.

        Raises:
            ChannelsError: they cannot be read.
        """
        text, path = environ.get(CHANNELS, ""), environ.get(CHANNELS_FILE, "")
        if text and path:
            raise ChannelsError(f"{CHANNELS} and {CHANNELS_FILE} are both set: keep one")
        self._path = Path(path) if path else None
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._channels = _decode(self._read() if self._path else text or "{}")

    def get(self, source: str, channel: str) -> Channel | None:
        """Return a channel, or the one that its source has for all (`source/*`); None where there is neither."""
        channels = self._channels
        return channels.get(f"{source}/{channel}") or channels.get(f"{source}/{ANY}")

    def refresh(self) -> bool:
        """Read the file again where it has changed, and return whether it has.

        Raises:
            ChannelsError: it cannot be read; what was known before stays.
        """
        with self._lock:
            stamp = self._look()
            if stamp == self._stamp:
                return False
            channels = _decode(self._read())
            self._channels, self._stamp = channels, stamp
            return True

    def _look(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            status = os.stat(self._path)  # noqa: PTH116 - no other name for it
        except OSError as error:
            raise ChannelsError(f"{CHANNELS_FILE} cannot be read: {error.strerror}") from error
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> str:
        assert self._path is not None  # noqa: S101
        try:
            return self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ChannelsError(f"{CHANNELS_FILE} cannot be read: {type(error).__name__}") from error


def _decode(text: str) -> dict[str, Channel]:
    try:
        channels = msgspec.json.decode(text, type=dict[str, Channel])
    except msgspec.DecodeError as error:
        raise ChannelsError(f"{CHANNELS} is not like {_EXAMPLE}: {error}") from error
    for name, channel in channels.items():
        source, slash, rest = name.partition("/")
        if source not in CHANNEL_RATES or not slash or not rest:
            raise ChannelsError(f"{CHANNELS}: {name[:80]!r} is not like whatsapp/1003, nor twilio/*")
        if not channel.token or (source == "twilio" and not channel.account):
            raise ChannelsError(f"{CHANNELS}: {name[:80]!r} needs a token, and of Twilio an account")
        if channel.key and source != "twilio":
            raise ChannelsError(f"{CHANNELS}: {name[:80]!r} has a key, which Twilio alone gives")
        if channel.app_secret and source == "twilio":
            raise ChannelsError(f"{CHANNELS}: {name[:80]!r} has an app_secret, which is Graph's alone")
        if not _TOKEN.fullmatch(channel.token):
            # No header holds it, so each of its calls would fail as if it were in doubt.
            problem = "has a token with a space, an end of line, or something else than visible ASCII"
            raise ChannelsError(f"{CHANNELS}: {name[:80]!r} {problem}")
    return channels


_EXAMPLE: Final = '{"whatsapp/1003": {"token": "…"}, "twilio/*": {"account": "AC…", "token": "…"}}'

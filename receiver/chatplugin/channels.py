"""The live chat's settings: which channels there are, and which web sites may show them."""

import re
from encodings import idna
from pathlib import Path
from typing import Final

import msgspec

from receiver.config import PREFIX, Settings

MIN_SECRET_BYTES: Final = 32
"""HS256 asks for a key as long as its hash, https://www.rfc-editor.org/rfc/rfc7518#section-3.2."""

CHANNELS: Final = "chatplugin-channels"
"""The app's extension that holds the ids of the channels."""
_CHANNEL_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s*?#@A-Z]+")
_USUAL_PORTS: Final = {"http": ":80", "https": ":443"}
_KEPT: Final = re.compile("([\u00df\u03c2\u200c\u200d])")
"""What browsers keep, and Python's IDNA of 2003 does not: fass.de may be somebody else's than faß.de.

https://www.unicode.org/reports/tr46/#Deviations and https://url.spec.whatwg.org/#idna
"""
_CHANNELS: Final = msgspec.json.Decoder(dict[str, list[str]])


class ChatSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the live chat needs to know; nothing in it has a default that lets anyone in."""

    secrets: tuple[str, ...]
    channels: dict[str, frozenset[str]]
    demo_channel: str
    resume_days: int
    messages_per_minute: int
    requests_per_minute: int
    trusted_proxies: int

    @classmethod
    def from_settings(cls, settings: Settings) -> "ChatSettings | None":
        """Read the settings, leaving problems in them; None where no live chat is configured."""
        secrets = settings.secrets("CHATPLUGIN_SECRETS")
        channels = _channels(settings)
        if not secrets and not channels:
            return None
        if not secrets:
            settings.problems.append(f"{PREFIX}CHATPLUGIN_SECRETS is not set: keys to sign visitors' tokens")
        if not channels:
            settings.problems.append(f"{PREFIX}CHATPLUGIN_CHANNELS is not set: origins by channel id")
        if any(len(secret.encode()) < MIN_SECRET_BYTES for secret in secrets):
            settings.problems.append(
                f"{PREFIX}CHATPLUGIN_SECRETS holds a key of less than {MIN_SECRET_BYTES} bytes"
            )
        demo = settings.text("CHATPLUGIN_DEMO")
        if demo and demo not in channels:
            settings.problems.append(
                f"{PREFIX}CHATPLUGIN_DEMO names {demo[:40]!r}, which {PREFIX}CHATPLUGIN_CHANNELS does not"
            )
        return cls(
            secrets=secrets,
            channels=channels,
            demo_channel=demo,
            resume_days=settings.integer("CHATPLUGIN_RESUME_DAYS", 7, 1, 365),
            messages_per_minute=settings.integer("CHATPLUGIN_MESSAGES_PER_MINUTE", 60, 1, 100_000),
            requests_per_minute=settings.integer("CHATPLUGIN_REQUESTS_PER_MINUTE", 600, 1, 1_000_000),
            trusted_proxies=settings.integer("TRUSTED_PROXIES", 0, 0, 16),
        )

    @property
    def origins(self) -> frozenset[str]:
        """All origins of all channels."""
        return frozenset[str]().union(*self.channels.values())


def _channels(settings: Settings) -> dict[str, frozenset[str]]:
    """Return the origins of each channel: JSON in the variable, or in the file that `…_FILE` names."""
    name = "CHATPLUGIN_CHANNELS"
    text, path = settings.text(name), settings.text(f"{name}_FILE")
    if text and path:
        settings.problems.append(f"{PREFIX}{name} and {PREFIX}{name}_FILE are both set: keep one")
    try:
        if path:
            text = Path(path).read_text("utf-8")
        channels = _CHANNELS.decode(text) if text else {}
    except (OSError, ValueError) as error:
        settings.problems.append(f"{PREFIX}{name} is not a JSON object of origins by channel id: {error}")
        return {}
    for channel, origins in channels.items():
        if not _CHANNEL_ID.fullmatch(channel):
            settings.problems.append(
                f"{PREFIX}{name}: {channel[:40]!r} is no channel id (letters, digits and ._:-)"
            )
        if not origins:
            settings.problems.append(f"{PREFIX}{name}: channel {channel[:40]!r} has no origin")
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                settings.problems.append(
                    f"{PREFIX}{name}: {origin[:80]!r} is no origin: scheme://host or scheme://host:port, "
                    "in lower case"
                )
    return {channel: frozenset(map(_as_sent, origins)) for channel, origins in channels.items()}


def _as_sent(origin: str) -> str:
    """Return an origin as browsers send it: without the port that a scheme has anyway, other letters as xn--….

    https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin
    """
    scheme, _, host = origin.partition("://")
    if port := _USUAL_PORTS.get(scheme):
        host = host.removesuffix(port)
    try:
        host = host if host.isascii() else ".".join(map(_ascii, idna.dots.split(host)))
    except UnicodeError:
        # No name, whoever has written it: nobody comes from there.
        return origin
    return f"{scheme}://{host}"


def _ascii(label: str) -> str:
    """Return a part of a name as browsers send it.

    Raises:
        UnicodeError: no name has such a part.
    """
    # Of the last one, a port may be part.
    name, colon, port = label.partition(":")
    if not _KEPT.search(name):
        return f"{name.encode('idna').decode()}{colon}{port}"
    parts = (part if _KEPT.fullmatch(part) else idna.nameprep(part) for part in _KEPT.split(name))
    return f"xn--{''.join(parts).encode('punycode').decode()}{colon}{port}"

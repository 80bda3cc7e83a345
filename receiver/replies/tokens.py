"""Who may post replies, and to which channels: `PARLEY_REPLY_TOKENS`, by default nobody."""

import re
from pathlib import Path
from typing import Final

import msgspec

from receiver.config import PREFIX, Settings
from receiver.proofs.signatures import matches_any
from schemas.replies import SENDER, SOURCES

NAME: Final = "REPLY_TOKENS"
MIN_TOKEN_CHARACTERS: Final = 32
"""Nothing paces those who guess: a token has to be too long to be found."""
ANY: Final = "*"

_ENTRY: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whoever posts: a name, by which the ledger knows them, with its tokens and channels."""

    tokens: list[str]
    """Several, so that one can be exchanged while the other is still in use."""
    channels: list[str]
    """`source/channel`, or `source/*` for all channels of a source."""

    def __repr__(self) -> str:
        # Without the tokens, wherever it may be printed.
        return f"Entry(channels={self.channels!r})"

    def may_reply(self, source: str, channel: str) -> bool:
        """Say whether replies may be posted for a channel, by the source's own id."""
        return f"{source}/{channel}" in self.channels or f"{source}/{ANY}" in self.channels


_ENTRIES: Final = msgspec.json.Decoder(dict[str, Entry])


class ReplyTokens:
    """All who may post."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries

    def bearer(self, authorization: str) -> tuple[str, Entry] | None:
        """Return whose token an Authorization header holds, None where it is nobody's.

        All tokens are compared, so that the time does not show whose it is.
        """
        scheme, _, token = authorization.partition(" ")
        found = None
        for name, entry in self._entries.items():
            if matches_any(token.strip(), entry.tokens):
                found = name, entry
        return found if scheme.lower() == "bearer" else None


def from_settings(settings: Settings) -> ReplyTokens | None:
    """Read who may post, leaving problems in the settings; None where nobody may."""
    text, path = settings.text(NAME), settings.text(f"{NAME}_FILE")
    if text and path:
        settings.problems.append(f"{PREFIX}{NAME} and {PREFIX}{NAME}_FILE are both set: keep one")
    if not text and not path:
        return None
    variable = PREFIX + NAME
    try:
        entries = _ENTRIES.decode(Path(path).read_text("utf-8") if path else text)
    except (OSError, ValueError) as error:
        # The decoder tells what and where, and no value.
        settings.problems.append(f'{variable} is not like {{"desk": {{"tokens": […], "channels": […]}}}}: {error}')
        return None
    if not entries:
        settings.problems.append(f"{variable} names nobody: leave it out to take no replies")
    for name, entry in entries.items():
        settings.problems += [f"{variable}: {name[:40]!r} {problem}" for problem in _problems(name, entry)]
    tokens = [token for entry in entries.values() for token in entry.tokens]
    if len(set(tokens)) < len(tokens):
        settings.problems.append(f"{variable} has one token twice: a token says who posts")
    return ReplyTokens(entries)


def _problems(name: str, entry: Entry) -> list[str]:
    """Return what is wrong with an entry, without its tokens."""
    problems = []
    if not _ENTRY.fullmatch(name):
        problems.append("is no name: lower-case letters, digits and ._-")
    if name == SENDER:
        problems.append("is the name by which the sender is known")
    if not entry.tokens or not entry.channels:
        problems.append("needs tokens and channels")
    if any(len(token) < MIN_TOKEN_CHARACTERS or not _TOKEN.fullmatch(token) for token in entry.tokens):
        problems.append(
            f"has a token of less than {MIN_TOKEN_CHARACTERS} characters, or of others than visible ASCII"
        )
    for scope in entry.channels:
        source, _, channel = scope.partition("/")
        if source not in SOURCES or not channel:
            problems.append(f"has the channel {scope[:80]!r}, which is not like whatsapp/1003 or twilio/*")
    return problems

"""The parts of a JSON body to which the pointers of a mapping lead, with what lies around them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from pipelines.sources.json_body import Body, members

_ANYTHING: Final = msgspec.json.Decoder()
_ARRAY: Final = msgspec.json.Decoder(list[Raw])
_STRING: Final = msgspec.json.Decoder(str)
_WHOLE: Final = msgspec.json.Decoder(Raw)


class Part(NamedTuple):
    """A part of a body, and the objects around it, nearest first: each without the member that leads to it."""

    body: Body
    """What gives the part's exact bytes: the request's body, or what a text in it holds."""
    raw: Raw
    pointer: str = ""
    ancestors: tuple[dict[str, Any], ...] = ()
    named: Mapping[str, dict[str, Any]] = {}
    """The ancestors by the keys under which they lie, the nearest of each."""
    name: str | None = None
    """The key under which the part, or the array that has it, lies."""


def whole(body: Body, pointer: str = "", ancestors: tuple[dict[str, Any], ...] = ()) -> Part:
    """Return a whole body as a part.

    Raises:
        msgspec.DecodeError: it is no JSON.
    """
    return Part(body, body.decode(_WHOLE), pointer, ancestors)


def parts(part: Part, steps: list[str]) -> Iterator[Part]:
    """Yield the parts of a body to which a pointer's steps lead from a part."""
    part = _opened(part)
    if bytes(part.raw) == b"null":
        return
    if not steps or (steps[0] == "*" and bytes(part.raw)[:1] != b"["):
        # What should be an array and is none is read as an item, so that it fails alone.
        yield part
    elif steps[0] == "*":
        elements = part.body.decode(_ARRAY, part.raw)
        for number, element in enumerate(elements):
            inner = part._replace(raw=element, pointer=f"{part.pointer}/{number}")
            yield from parts(inner, steps[1:])
    else:
        inside = members(part.body, part.raw)
        name = unescaped(steps[0])
        followed = inside.pop(name, None)
        if followed is not None:
            around = {each: part.body.decode(_ANYTHING, member) for each, member in inside.items()}
            inner = Part(
                part.body,
                followed,
                f"{part.pointer}/{steps[0]}",
                (around, *part.ancestors),
                part.named if part.name is None else {**part.named, part.name: around},
                name,
            )
            yield from parts(inner, steps[1:])


def _opened(part: Part) -> Part:
    """Return what a text holds that is a JSON object or array itself; any other part as it is."""
    if bytes(part.raw)[:1] != b'"':
        return part
    text = part.body.decode(_STRING, part.raw)
    if text.lstrip()[:1] not in {"{", "["}:
        return part
    try:
        body = Body(text.encode())
        return part._replace(body=body, raw=body.decode(_WHOLE))
    except (msgspec.DecodeError, UnicodeError):
        # A text that only begins so.
        return part


def unescaped(step: str) -> str:
    """Return the key that a step of a JSON Pointer names."""
    return step.replace("~1", "/").replace("~0", "~")

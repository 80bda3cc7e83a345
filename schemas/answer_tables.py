"""What a custom source's requests are answered beside an empty 200: tables of the sources file.

`docs/adding-a-source.md` describes them; `receiver.web.answers` does what they say.
"""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec

from schemas.proof_tables import LONGEST_POINTER, Proving, Token
from schemas.sources_table import Path, Table, places

MOST_ANSWERS: Final = 8


class Echo(Table, frozen=True, kw_only=True):
    """Where the text is that the answer repeats."""

    field: str | None = None
    query: str | None = None
    header: str | None = None
    name: str | None = None
    """The member of a JSON object to put it into; without it, the text itself is the answer."""


class Answer(Table, frozen=True, kw_only=True):
    """What some requests are answered: a handshake, a ping, or an event whose sender waits for more than 200."""

    method: Literal["POST", "GET", "HEAD"] = "POST"
    field: str | None = None
    """A JSON Pointer into the body, or `/` and a form's field, that such requests have."""
    query: str | None = None
    header: str | None = None
    equals: str | None = None
    """What must be there; without it anything may."""
    echo: Echo | None = None
    body: str = ""
    """The answer where nothing is repeated."""
    status: Annotated[int, msgspec.Meta(ge=200, le=299)] = 200
    keep: bool = False
    """Whether the request is an event as well, which is durable before it is answered."""
    proven: bool = True
    """False where the sender does not sign what it asks."""
    verify: Token | None = None
    """Where a verify token is, one of the variable `…_VERIFY_TOKENS`, for a handshake that is not signed."""


def answer_problems(source: Proving, answers: tuple[Answer, ...]) -> Iterable[tuple[Path, str]]:
    """Yield what contradicts itself in a source's answers, and where."""
    if len(answers) > MOST_ANSWERS:
        yield ("answers",), f"at most {MOST_ANSWERS}"
    for number, answer in enumerate(answers):
        yield from ((("answers", number, *path), what) for path, what in _problems(source, answer))


def _problems(source: Proving, answer: Answer) -> Iterable[tuple[Path, str]]:
    conditions = places(answer, "field", "query", "header")
    if len(conditions) > 1:
        yield (conditions[1],), "at most one of field, query and header"
    if answer.equals is not None and not conditions:
        yield ("equals",), "needs one of field, query and header"
    tables = [((), answer), (("echo",), answer.echo), (("verify",), answer.verify)]
    for path, table in tables:
        pointer = table.field if table is not None else None
        if pointer is not None and (pointer[:1] != "/" or pointer.count("/") > LONGEST_POINTER or "*" in pointer):
            yield (*path, "field"), f"a JSON Pointer of at most {LONGEST_POINTER} steps, such as /type, without *"
        if table is not None and path and len(places(table, "field", "query", "header")) != 1:
            yield path, "needs one of field, query and header"
    if answer.echo is not None and answer.body:
        yield ("body",), "keep one of echo and body"
    if answer.keep and (not answer.proven or answer.method not in source.methods):
        yield ("keep",), "an event is proven, and comes by one of the source's methods"
    if not answer.proven and answer.method in source.methods and not (conditions or answer.verify):
        yield ("proven",), "would answer every event: say by field, query or header which requests are meant"
    if not answer.proven and answer.method == "POST" and answer.verify is None and answer.body:
        yield ("proven",), "a fixed answer that nobody has to prove: needs verify"

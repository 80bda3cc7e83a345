"""The sources file: which custom sources there are, how each signs, and what its bodies mean.

Receiver and pipeline read the same TOML file, one table per source. `docs/adding-a-source.md` describes it.
"""

import difflib
import pathlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

import msgspec

from schemas.answer_tables import Answer, answer_problems
from schemas.mapping_tables import BodyMapping, mapping_doubts, mapping_problems
from schemas.proof_tables import Proving, proof_problems
from schemas.sources_table import Path

VARIABLE: Final = "PARLEY_SOURCES_FILE"
ENTRY_POINTS: Final = "parley.sources"
"""The entry point group in which installed packages register classes that read a source."""
BUILT_IN: Final = frozenset(
    {"facebook", "instagram", "whatsapp", "twilio", "google", "airy", "chatplugin", "replies"}
)
"""Names that a custom source cannot have: endpoints and rows of ours carry them."""

MOST_HEADERS: Final = 20
"""Pub/Sub takes 100 attributes, of which a long query needs 32."""
SECRET_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "webhook-signature", "svix-signature"}
)

# A name is part of a URL, of a topic's id, of the archive's folders and of environment variables.
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,62}")
_AT: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(?P<field>[^`]*)`")
_STEP: Final = re.compile(r"[^.\[\]]+")


class SourcesFileError(ValueError):
    """The sources file cannot be used; every problem names its line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Definition(Proving, frozen=True, kw_only=True):
    """One custom source."""

    keep_headers: tuple[str, ...] = ()
    """Headers that expressions need; they become attributes of the raw event."""
    answers: tuple[Answer, ...] = ()
    mapping: BodyMapping | None = None
    """Absent where the source posts Parley's own JSON, or code reads it."""


def _keys(table: Any) -> Iterable[str]:
    for field in msgspec.structs.fields(table):
        yield field.encode_name
        for kind in (field.type, *get_args(field.type)):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                yield from _keys(kind)


_KEYS: Final = frozenset(_keys(Definition))
"""Every key that a source's table and those in it can have."""


def read_file(path: str) -> str:
    """Return the text of a sources file, or an empty one without a path.

    Raises:
        SourcesFileError: the file cannot be read.
    """
    if not path:
        return ""
    try:
        return pathlib.Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourcesFileError([f"{VARIABLE} cannot be read: {error}"]) from error


class SourcesFile:
    """The definitions of a sources file, by name, and where in it what is said."""

    def __init__(self, text: str, name: str = VARIABLE) -> None:
        """Read and check a sources file.

        Raises:
            SourcesFileError: it is not TOML, or a definition is wrong.
        """
        self._text = text
        self._name = name
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SourcesFileError([f"{name}: {error}"]) from error
        problems: list[str] = []
        self.definitions: Mapping[str, Definition] = {
            source: definition
            for source, table in document.items()
            if (definition := self._definition(source, table, problems))
        }
        if problems:
            raise SourcesFileError(problems)

    def doubts(self) -> list[str]:
        """Return what can never do what it says, each with its line: it keeps nobody from starting."""
        return [
            self.problem((source, *path), what)
            for source, definition in self.definitions.items()
            if definition.mapping is not None
            for path, what in mapping_doubts(definition.mapping)
        ]

    def problem(self, path: Path, what: str) -> str:
        """Return a problem's text, with the line at which the value stands."""
        return f"{self._name}, line {line_of(self._text, path)}: {_dotted(path)}: {what}"

    def _definition(self, source: str, table: Any, problems: list[str]) -> Definition | None:
        if what := name_problem(source):
            problems.append(self.problem((source,), what))
            return None
        try:
            definition = msgspec.convert(table, Definition)
        except msgspec.ValidationError as error:
            problems.append(self._validation_problem(source, error))
            return None
        problems += [self.problem((source, *path), what) for path, what in _contradictions(definition)]
        return definition

    def _validation_problem(self, source: str, error: msgspec.ValidationError) -> str:
        message = str(error)
        path: Path = (source,)
        if at := _AT.search(message):
            message = message[: at.start()]
            path += tuple(int(step) if step.isdigit() else step for step in _STEP.findall(at["path"]))
        if unknown := _UNKNOWN_FIELD.search(message):
            path += (unknown["field"],)
            if meant := difflib.get_close_matches(unknown["field"], _KEYS, 1):
                message += f": did you mean {meant[0]}?"
        return self.problem(path, message)


def name_problem(name: str) -> str | None:
    """Say why a custom source cannot have a name; None where it can."""
    if name in BUILT_IN or name.startswith("twilio."):
        return "is the name of a built-in source"
    if not _NAME.fullmatch(name):
        return "a name has 2 to 63 lower-case letters, digits and hyphens, and starts with a letter"
    return None


def line_of(text: str, path: Path) -> int:
    """Return the number of the line at which a value begins, or its closest enclosing table does.

    TOML has many spellings of one structure, so the file is read line by line until the value is there.
    """
    found, depth, start = 1, 0, 1
    lines = text.splitlines(keepends=True)
    for number in range(1, len(lines) + 1):
        try:
            document = tomllib.loads("".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            # In the middle of a value of several lines.
            continue
        reached = _depth(document, path)
        if reached > depth:
            found, depth = start, reached
        start = number + 1
    return found


def _depth(document: Any, path: Path) -> int:
    """Return how many steps of a path a document has."""
    for done, step in enumerate(path):
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return done
    return len(path)


def _dotted(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _contradictions(definition: Definition) -> Iterable[tuple[Path, str]]:
    yield from proof_problems(definition)
    yield from answer_problems(definition, definition.answers)
    if len(definition.keep_headers) > MOST_HEADERS:
        yield ("keep_headers",), f"at most {MOST_HEADERS} headers fit into a raw event"
    kept = {name.lower() for name in definition.keep_headers}
    if secret := kept & (SECRET_HEADERS | _secret_headers(definition)):
        yield ("keep_headers",), f"{secret.pop()} is a credential, which no raw event may carry"
    mapping = definition.mapping
    if mapping is not None:
        yield from mapping_problems(mapping)


def _secret_headers(definition: Definition) -> set[str]:
    tables = (definition.token, definition.signing, definition.jwt)
    return {table.header.lower() for table in tables if table is not None and table.header}

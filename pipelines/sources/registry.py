"""The parsers of custom sources: of the sources file, and of classes that installed packages register."""

import os
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from pipelines.core.item import Lineage
from pipelines.sources import PARSERS, Parser, expressions
from pipelines.sources.custom import OwnJson
from pipelines.sources.mapping import Mapped
from schemas.custom_sources import (
    ENTRY_POINTS,
    VARIABLE,
    Definition,
    SourcesFile,
    SourcesFileError,
    name_problem,
    read_file,
)
from schemas.raw_event import RawEvent


class CodedSource(Protocol):
    """What an object of a registered class has; the class is called without arguments."""

    def parse(self, event: RawEvent, lineage: Lineage) -> str | None:
        """Make the rows of an event; return why there are none, where that has a reason."""
        ...


def install_configured() -> str:
    """Install the custom sources of the environment's sources file, and return its text for `install`.

    Raises:
        SourcesFileError: as `install`, or the file cannot be read.
    """
    text = read_file(os.environ.get(VARIABLE, "").strip())
    install(text)
    return text


def install(text: str, name: str = VARIABLE) -> None:
    """Let `normalize` know the custom sources of a sources file's text, and of installed packages.

    Text, because workers on other machines do not have the file.

    Raises:
        SourcesFileError: a source is wrongly described, or its code cannot be loaded.
    """
    PARSERS.update(parsers(text, name))


def parsers(text: str, name: str = VARIABLE) -> dict[str, Parser]:
    """Return the parsers of all custom sources, by name.

    Raises:
        SourcesFileError: a source is wrongly described, or its code cannot be loaded.
    """
    file = SourcesFile(text, name)
    coded = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    for source, definition in file.definitions.items():
        if definition.scheme == "code" and definition.mapping is not None:
            # Its code proves requests, which is the receiver's business; the mapping reads them.
            coded.pop(source, None)
    problems: list[str] = []
    found: dict[str, Parser] = {}
    for source, point in coded.items():
        try:
            found[source] = _load(point)
        except Exception as error:
            problems.append(f"source {source} of {point.value}: {type(error).__name__}: {error}")
    for source, definition in file.definitions.items():
        if definition.mapping is not None:
            wrong = list(expressions.problems(definition.mapping))
            problems += [file.problem((source, "mapping", *path), what) for path, what in wrong]
            if source in coded:
                problems.append(file.problem((source, "mapping"), f"{coded[source].value} reads this source"))
        if source not in found and not problems:
            found[source] = _parser(source, definition)
    if problems:
        raise SourcesFileError(problems)
    return found


def doubts(text: str, name: str = VARIABLE) -> list[str]:
    """Return what of a sources file can never do what it says, each with its line: it keeps nobody from starting.

    Raises:
        SourcesFileError: a source is wrongly described.
    """
    file = SourcesFile(text, name)
    found = file.doubts()
    for source, definition in file.definitions.items():
        if definition.mapping is not None:
            wrong = expressions.doubts(definition.mapping, definition.keep_headers)
            found += [file.problem((source, "mapping", *path), what) for path, what in wrong]
    return found


def _parser(source: str, definition: Definition) -> Parser:
    if definition.mapping is None:
        return OwnJson(source).parse
    return Mapped(source, definition.mapping).parse


def _load(point: EntryPoint) -> Parser:
    if what := name_problem(point.name):
        raise ValueError(what)
    source: CodedSource = point.load()()
    return source.parse

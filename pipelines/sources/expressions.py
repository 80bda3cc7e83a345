"""JMESPath expressions of the sources file: checked before the first event, and what they give as text.

https://jmespath.org/specification.html
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import jmespath
from jmespath.exceptions import JMESPathError

from pipelines.core.times import Written
from pipelines.sources import traps
from pipelines.sources.interpreter import Interpreter, Node, SourceFunctions, scalar_text
from schemas.mapping_tables import Attachment, BodyMapping, Whereabouts
from schemas.sources_table import Path

CONTEXT: Final = frozenset({"item", "parent", "body", "ancestors", "ancestor", "headers", "query"})
"""What an expression can speak of."""
LITERALS: Final = frozenset(
    {"items", "subject", "key", "message", "metadata", "attachments", "time_format", "time_offset"}
)
"""Members of a mapping and its rules that are no expressions."""
LONGEST: Final = 2000
"""Characters of an expression."""

# Of these nodes only the first part is read in the surrounding context, the others in what it gives.
_DESCENDING: Final = frozenset(
    {"subexpression", "index_expression", "projection", "value_projection", "filter_projection", "pipe", "flatten"}
)


class Given(NamedTuple):
    """What an expression gave, for who writes a mapping."""

    place: str
    name: str
    expression: str
    value: Any
    values: Mapping[str, Any]
    """What it could speak of."""


class Context:
    """What the expressions of one item speak of, and what counts their steps: one for each event."""

    def __init__(
        self, values: Mapping[str, Any], interpreter: Interpreter, seen: list[Given] | None = None
    ) -> None:
        self.values = values
        self.seen = seen
        """Where what each expression gives is noted, if anybody wants to know."""
        self._interpreter = interpreter

    def having(self, values: Mapping[str, Any]) -> "Context":
        """Return a context with more names."""
        return Context({**self.values, **values}, self._interpreter, self.seen)

    def evaluate(self, parsed: Node) -> Any:
        """Return what an expression gives."""
        return self._interpreter.visit(parsed, self.values)


class Expressions:
    """The compiled expressions of a rule, by name; where it lacks one, the mapping's counts."""

    def __init__(self, *tables: Whereabouts | Attachment, place: str = "mapping") -> None:
        self.place = place
        self.names = {name: expression for table in tables for name, expression in written(table).items()}
        self._compiled = {name: jmespath.compile(expression).parsed for name, expression in self.names.items()}

    def has(self, *names: str) -> bool:
        """Say whether there is one of these expressions."""
        return not self._compiled.keys().isdisjoint(names)

    def value(self, name: str, context: Context, default: Any = None) -> Any:
        """Return what an expression gives; the default where there is no such expression."""
        parsed = self._compiled.get(name)
        if parsed is None:
            return default
        value = context.evaluate(parsed)
        if context.seen is not None:
            context.seen.append(Given(self.place, name, self.names[name], value, context.values))
        return value

    def text(self, name: str, context: Context) -> str | None:
        """Return what an expression gives as text; nothing and the empty text are None.

        Raises:
            ValueError: it gives an array or an object.
        """
        value = self.value(name, context)
        if isinstance(value, list | dict):
            raise ValueError(f"{name} gives {type(value).__name__}, not a text or a number")
        return scalar_text(value) or None

    def time(self, name: str, context: Context) -> Written:
        """Return what an expression gives as a time; None for what is neither text nor number."""
        value = self.value(name, context)
        return value if isinstance(value, str | int | float) else None

    def holds(self, name: str, context: Context) -> bool:
        """Say whether an expression gives something true by JMESPath's rules; without one it does."""
        value = self.value(name, context, default=True)
        return not (value is None or value is False or value in ("", [], {}))


def written(table: Whereabouts | Attachment) -> dict[str, str]:
    """Return the expressions of a table, by name."""
    names = (name for name in table.__struct_fields__ if name not in LITERALS)
    return {name: expression for name in names if (expression := getattr(table, name)) is not None}


def problems(mapping: BodyMapping) -> Iterator[tuple[Path, str]]:
    """Yield what is wrong with a mapping's expressions, and where in the mapping."""
    for path, expression, known in _each(mapping):
        if what := _problem(expression, known):
            yield path, what


def doubts(mapping: BodyMapping, keep_headers: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """Yield which expressions read a header that is never there, and where in the mapping."""
    kept = frozenset(name.lower() for name in keep_headers)
    for path, expression, known in _each(mapping):
        if _problem(expression, known) is None and (what := _wrong_header(expression, kept)):
            yield path, what


def _each(mapping: BodyMapping) -> Iterator[tuple[Path, str, frozenset[str]]]:
    """Yield every expression, where it stands, and which names it may read."""
    tables: list[tuple[Path, Whereabouts | Attachment]] = [((), mapping)]
    for number, rule in enumerate(mapping.message):
        path: Path = ("message", number)
        tables.append((path, rule))
        tables += [((*path, "attachments", n), attachment) for n, attachment in enumerate(rule.attachments)]
    tables += [(("metadata", number), rule) for number, rule in enumerate(mapping.metadata)]
    for path, table in tables:
        names = CONTEXT | {"attachment"} if isinstance(table, Attachment) else CONTEXT
        for name, expression in written(table).items():
            yield (*path, name), expression, CONTEXT if name == "each" else names


def _problem(expression: str, known: frozenset[str]) -> str | None:
    if len(expression) > LONGEST:
        return f"more than {LONGEST:,} characters"
    try:
        parsed = jmespath.compile(expression).parsed
        return _wrong(expression, parsed, known)
    except JMESPathError as error:
        what = " ".join(str(error).split())
        return f"{hint} ({what})" if (hint := traps.of_broken(expression)) else what
    except RecursionError:
        return "too deeply nested"


def _wrong(expression: str, parsed: Node, known: frozenset[str]) -> str | None:
    if trap := next(traps.of_parsed(parsed), None):
        return trap
    unknown = sorted(set(_names(parsed)) - known)
    if unknown:
        what = f"{unknown[0]!r} is none of {', '.join(sorted(known))}"
        return f"{hint} ({what})" if (hint := traps.of_name(unknown[0], expression)) else what
    functions = sorted(set(_functions(parsed)) - SourceFunctions.FUNCTION_TABLE.keys())
    return f"there is no function {functions[0]}()" if functions else None


def _wrong_header(expression: str, kept: frozenset[str]) -> str | None:
    """Say of a header that an expression reads why it would always be null."""
    for name in _headers(jmespath.compile(expression).parsed):
        if name.lower() not in kept:
            return f"the header {name!r} is none of keep_headers, so this is always null"
        if name not in kept:
            return f'names of headers are in lower case: headers."{name.lower()}"'
    return None


def _names(node: Node) -> Iterator[str]:
    """Yield the names that an expression reads in the context itself."""
    yield from (each["value"] for each in _nodes(node) if each["type"] == "field")


def _headers(node: Node) -> Iterator[str]:
    """Yield the names of the headers that an expression reads."""
    for each in _nodes(node):
        if each["type"] == "subexpression":
            of, name, *_ = each["children"]
            if of["type"] == name["type"] == "field" and of["value"] == "headers":
                yield name["value"]


def _nodes(node: Node) -> Iterator[Node]:
    """Yield the parts of an expression that are read in the context itself."""
    if node["type"] == "expref":
        return
    yield node
    for child in traps.parts_of(node)[: 1 if node["type"] in _DESCENDING else None]:
        yield from _nodes(child)


def _functions(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in traps.parts_of(node):
        yield from _functions(child)

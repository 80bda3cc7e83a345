"""JMESPath expressions of the sources file: checked before the first event, and what they give as text.

https://jmespath.org/specification.html
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.functions import Functions, signature

from pipelines.core.times import Written
from schemas.custom_sources import BodyMapping, Whereabouts
from schemas.sources_table import Path

CONTEXT: Final = frozenset({"item", "parent", "body", "ancestors", "headers", "query"})
"""What an expression can speak of."""
LITERALS: Final = frozenset({"items", "subject", "key", "message", "metadata"})
"""Members of a mapping and its rules that are no expressions."""

# Of these nodes only the first part is read in the surrounding context, the others in what it gives.
_DESCENDING: Final = frozenset(
    {"subexpression", "index_expression", "projection", "value_projection", "filter_projection", "pipe", "flatten"}
)

Context = Mapping[str, Any]


class _Functions(Functions):
    """JMESPath's functions, of which `join` takes numbers too: sources number what they send."""

    @signature({"types": ["string"]}, {"types": ["array"]})
    def _func_join(self, separator: str, parts: list[Any]) -> str:
        for part in parts:
            # Neither is part of an id, and what is missing would make one id of many.
            if isinstance(part, bool) or not isinstance(part, str | int | float):
                raise JMESPathTypeError("join", part, type(part).__name__, ["string", "number"])
        return separator.join(map(scalar_text, parts))


_OPTIONS: Final = jmespath.Options(custom_functions=_Functions())


class Expressions:
    """The compiled expressions of a rule, by name; where it lacks one, the mapping's counts."""

    def __init__(self, *tables: Whereabouts) -> None:
        self._compiled = {
            name: jmespath.compile(expression) for table in tables for name, expression in written(table).items()
        }

    def value(self, name: str, context: Context, default: Any = None) -> Any:
        """Return what an expression gives; the default where there is no such expression."""
        expression = self._compiled.get(name)
        return default if expression is None else expression.search(context, options=_OPTIONS)

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


def written(table: Whereabouts) -> dict[str, str]:
    """Return the expressions of a table, by name."""
    names = (name for name in table.__struct_fields__ if name not in LITERALS)
    return {name: expression for name in names if (expression := getattr(table, name)) is not None}


def problems(mapping: BodyMapping) -> Iterator[tuple[Path, str]]:
    """Yield what is wrong with a mapping's expressions, and where in the mapping."""
    tables: list[tuple[Path, Whereabouts]] = [((), mapping)]
    tables += [(("message", number), rule) for number, rule in enumerate(mapping.message)]
    tables += [(("metadata", number), rule) for number, rule in enumerate(mapping.metadata)]
    for path, table in tables:
        for name, expression in written(table).items():
            if what := _problem(expression):
                yield (*path, name), what


def scalar_text(value: Any) -> str:
    """Return a string, number or truth value as text; empty for anything else."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case _:
            return ""


def _problem(expression: str) -> str | None:
    try:
        parsed = jmespath.compile(expression).parsed
    except JMESPathError as error:
        return " ".join(str(error).split())
    unknown = sorted(set(_names(parsed)) - CONTEXT)
    if unknown:
        return f"{unknown[0]!r} is none of {', '.join(sorted(CONTEXT))}"
    functions = sorted(set(_functions(parsed)) - _Functions.FUNCTION_TABLE.keys())
    return f"there is no function {functions[0]}()" if functions else None


def _names(node: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names that an expression reads in the context itself."""
    match node["type"]:
        case "field":
            yield node["value"]
        case "expref":
            return
        case kind:
            for child in node["children"][: 1 if kind in _DESCENDING else None]:
                yield from _names(child)


def _functions(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node["children"]:
        yield from _functions(child)

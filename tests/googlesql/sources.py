"""Where the product has SQL, found in its code: literals that are SQL, and calls that send it."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

# Not BigQuery's: what the local stand-ins keep in SQLite and DuckDB.
_STAND_INS = ROOT / "pipelines" / "local"
# The client of the emulator, through which all calls go.
_CLIENT = ROOT / "pipelines" / "bigquery" / "target.py"
_SQL = re.compile(
    r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|MERGE|CREATE TABLE|ALTER TABLE|ADD COLUMN|DROP TABLE|FROM|WHERE"
    r"|EXISTS|BETWEEN|RAISE|(?:<|>|<=|>=|=) TIMESTAMP)[\s(]|\b(?:IS NULL|IS NOT NULL|UNION ALL|TRANSACTION)\b"
)
_PLACEHOLDER = re.compile(r"\{\w*\}|\$\{\w+\}|\$\w+|(?<=`)[RV]\.")
"""What is put in later: of `str.format`, of `string.Template`, and the demo's short names of datasets."""
_SENDING = {"query", "query_and_wait"}


class Literal(NamedTuple):
    """A string in the code that is SQL or a part of it."""

    place: str
    parts: tuple[str, ...]
    """What any rendering of it has, in this order, with white space as `squeezed` leaves it."""

    def is_in(self, text: str) -> bool:
        """Tell whether a squeezed text has a rendering of it."""
        position = 0
        for part in self.parts:
            found = text.find(part, position)
            if found < 0:
                return False
            position = found + len(part)
        return True


class Call(NamedTuple):
    """A call that sends SQL to BigQuery."""

    path: str
    first_line: int
    last_line: int
    is_later: bool = False
    """Whether it only prepares what another place sends."""

    def __str__(self) -> str:
        return f"{self.path}:{self.first_line}"


def squeezed(text: str) -> str:
    """Return text with one space for any white space."""
    return " ".join(text.split())


@cache
def literals() -> tuple[Literal, ...]:
    """Return every piece of SQL in the code of the pipelines."""
    return tuple(each for path in _modules() for each in _literals(path))


@cache
def calls() -> tuple[Call, ...]:
    """Return every call that sends SQL to BigQuery in the code of the pipelines."""
    return tuple(each for path in _modules() if path != _CLIENT for each in _calls(path))


def _modules() -> list[Path]:
    return sorted(path for path in (ROOT / "pipelines").rglob("*.py") if not path.is_relative_to(_STAND_INS))


def _literals(path: Path) -> Iterator[Literal]:
    tree = ast.parse(path.read_text("utf-8"))
    inner = {id(part) for string in _strings(tree) for part in ast.walk(string) if part is not string}
    for string in _strings(tree):
        parts = _parts(string)
        if id(string) not in inner | _docstrings(tree) and any(_SQL.search(part) for part in parts):
            yield Literal(f"{path.relative_to(ROOT)}:{string.lineno}", tuple(map(squeezed, parts)))


def _strings(tree: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            yield node


@cache
def _docstrings(tree: ast.AST) -> frozenset[int]:
    """Return what stands as a statement of its own: docstrings of modules, classes, functions and names."""
    return frozenset(id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr))


def _parts(string: ast.Constant | ast.JoinedStr) -> list[str]:
    """Return the fixed parts of a string, in their order."""
    values = string.values if isinstance(string, ast.JoinedStr) else [string]
    text = "".join(str(each.value) if isinstance(each, ast.Constant) else "\0" for each in values)
    return _PLACEHOLDER.sub("\0", text).split("\0")


def _calls(path: Path) -> Iterator[Call]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(func=func, args=arguments):
                # `partial(client.query, …)` sends, too, wherever it is called.
                later = (each for each in arguments if "client" in ast.unparse(each) and _sends(each))
                # Without SQL nothing is sent: the query of a URL is asked for so.
                for sending in (*filter(_sends, (func,) if arguments else ()), *later):
                    last = node.end_lineno or node.lineno
                    yield Call(str(path.relative_to(ROOT)), node.lineno, last, is_later=sending is not func)


def _sends(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(value=of, attr=attr) if attr in _SENDING:
            # Beam's metrics have a `query`, too.
            return not ast.unparse(of).endswith(".metrics()")
    return False

"""Reads `docs/cookbook.md` and writes its results again: `python tests/schemas/cookbook.py`."""

import datetime as dt
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

COOKBOOK = Path(__file__).parents[2] / "docs" / "cookbook.md"
_RECIPE = re.compile(
    r"^### (?P<question>[^\n]+)$.*?^```sql\n(?P<sql>.*?)^```\n(?P<result>(?:\n(?:\|[^\n]*\n)+)?)", re.M | re.S
)

SAMPLE_DAY = dt.date(2026, 3, 16)
"""The day on which the sample shop is looked at: the one after its two weeks."""
Query = Callable[[str], Sequence[Mapping[str, Any]]]


class Recipe(NamedTuple):
    """A question, the SQL that answers it, and the answer as the cookbook shows it."""

    question: str
    sql: str
    result: str


def recipes(text: str) -> Iterator[Recipe]:
    """Yield the recipes of a cookbook."""
    for found in _RECIPE.finditer(text):
        yield Recipe(**found.groupdict())


def on(day: dt.date, sql: str) -> str:
    """Return SQL as it is meant on a day."""
    return sql.replace("CURRENT_DATE()", f"DATE '{day}'")


def rewritten(text: str, query: Query) -> str:
    """Return a cookbook with the results that its queries have now."""

    def again(found: "re.Match[str]") -> str:
        head = found[0].removesuffix(found["result"])
        return f"{head}\n{table(query(found['sql']))}"

    return _RECIPE.sub(again, text)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    header = list(rows[0])
    lines = [header, ["---"] * len(header), *([_shown(value) for value in row.values()] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case dt.datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case list():
            return ", ".join(_shown(each) for each in value)
        case dict():
            return " ".join(_shown(each) for each in value.values() if each is not None)
        case _:
            return str(value).replace("\n", "⏎").replace("|", r"\|")


def main() -> None:
    """Write the results of all recipes into the cookbook, from a BigQuery of its own."""
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    from analyst import Analyst
    from bigquery_fixtures import free_ports, running_emulator
    from sample_world import fill

    from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR

    with tempfile.TemporaryDirectory() as folder, running_emulator(Path(folder), *free_ports(2)) as emulator:
        os.environ |= {REST_EMULATOR: emulator.rest, GRPC_EMULATOR: emulator.rpc}
        someone = Analyst()
        fill(someone)
        COOKBOOK.write_text(
            rewritten(COOKBOOK.read_text("utf-8"), lambda sql: someone.query(on(SAMPLE_DAY, sql))), "utf-8"
        )
        someone.close()


if __name__ == "__main__":
    main()

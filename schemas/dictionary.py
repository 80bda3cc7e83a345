"""The data dictionary, as Markdown and as a web page: `python -m schemas.dictionary` writes both into `docs/`.

And the sources of the dbt package, which say the same.
"""

import re
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

import msgspec

from schemas import dbt_sources, loader, view_columns

DOCS = Path(__file__).parents[1] / "docs"
COMMAND = "python -m schemas.dictionary"
TITLE = "Data dictionary"
INTRODUCTION = (
    "Analysts query the views, in the dataset `parley`. The tables, in `parley_rows`, are what the pipeline "
    "appends: a row for every event that carries a thing, redeliveries included. Both names may carry a prefix. "
    "Times are UTC."
)
_CODE = re.compile(r"`([^`]+)`")
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:62rem;margin:0 auto;padding:1rem}"
    "nav ul{columns:12rem;padding-left:1rem}"
    "section{overflow-x:auto;border-top:1px solid #8886}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #8883}"
    "code{overflow-wrap:anywhere}"
)


class Relation(msgspec.Struct, frozen=True):
    """A table or view as a reader meets it."""

    name: str
    description: str
    layout: str
    """How it is stored, where it is a table; of what it is made, where it is a view."""
    columns: Sequence[loader.Column]


class Chapter(msgspec.Struct, frozen=True):
    """All views, or all tables."""

    title: str
    relations: Sequence[Relation]


def chapters() -> list[Chapter]:
    """Return views and tables with their columns.

    Raises:
        UndescribedColumnError: a column has no description.
    """
    views = [_view(name, sql) for name, sql in loader.views().items()]
    tables = [_table(spec) for spec in loader.tables().values()]
    return [Chapter("Views", views), Chapter("Tables", tables)]


def markdown() -> str:
    """Return the dictionary as Markdown."""
    lines = [f"# {TITLE}", "", f"<!-- Written by `{COMMAND}`: change schemas/ instead. -->", "", INTRODUCTION]
    for chapter in chapters():
        lines += ["", f"## {chapter.title}"]
        for relation in chapter.relations:
            lines += ["", f"### {relation.name}", "", relation.description, "", relation.layout, ""]
            lines += ["| column | type | what it is |", "|---|---|---|"]
            lines += [
                f"| `{column.name}` | `{_type(column)}` | {column.description.replace('|', '&#124;')} |"
                for column in relation.columns
            ]
    return "\n".join(lines) + "\n"


def html() -> str:
    """Return the dictionary as one web page that loads nothing."""
    every = chapters()
    links = "".join(
        f"<h2>{chapter.title}</h2><ul>{''.join(_link(relation, chapter) for relation in chapter.relations)}</ul>"
        for chapter in every
    )
    sections = "".join(_section(relation, chapter) for chapter in every for relation in chapter.relations)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Parley: {TITLE}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style>\n'
        f"<body><h1>{TITLE}</h1><p>{_prose(INTRODUCTION)}</p><nav>{links}</nav>\n<main>{sections}</main></body></html>\n"
    )


def write(folder: Path = DOCS) -> None:
    """Write both forms of the dictionary into a folder."""
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")


def pages() -> dict[str, str]:
    """Return the dictionary's files by name."""
    return {"data-dictionary.md": markdown(), "data-dictionary.html": html()}


def _view(name: str, sql: str) -> Relation:
    made_of = ", ".join(
        f"view `{source}`" if dataset == "views" else f"table `{source}`"
        for dataset, source in view_columns.reads(sql)
    )
    return Relation(
        name=name,
        description=loader.view_description(sql),
        layout=f"Made of {made_of}.",
        columns=view_columns.columns(name),
    )


def _table(spec: loader.TableSpec) -> Relation:
    partition = spec.resource.get("timePartitioning", {}).get("field")
    cluster = spec.resource.get("clustering", {}).get("fields", [])
    layout = f"Partitioned by day of `{partition}`" if partition else "Not partitioned"
    if cluster:
        layout += ", clustered by " + ", ".join(f"`{field}`" for field in cluster)
    return Relation(name=spec.name, description=spec.description, layout=layout + ".", columns=spec.columns)


def _type(column: loader.Column) -> str:
    is_repeated = column.mode == "REPEATED" and not column.type.startswith("ARRAY")
    return f"ARRAY<{column.type}>" if is_repeated else column.type


def _anchor(relation: Relation, chapter: Chapter) -> str:
    return f"{chapter.title.lower()}-{relation.name}"


def _link(relation: Relation, chapter: Chapter) -> str:
    return f'<li><a href="#{_anchor(relation, chapter)}">{relation.name}</a></li>'


def _section(relation: Relation, chapter: Chapter) -> str:
    rows = "".join(
        f"<tr><td><code>{column.name}</code></td><td><code>{escape(_type(column))}</code></td>"
        f"<td>{_prose(column.description)}</td></tr>"
        for column in relation.columns
    )
    return (
        f'<section id="{_anchor(relation, chapter)}"><h3>{chapter.title[:-1]} {relation.name}</h3>'
        f"<p>{_prose(relation.description)}</p><p>{_prose(relation.layout)}</p>"
        f"<table><thead><tr><th>column<th>type<th>what it is</tr></thead><tbody>{rows}</tbody></table></section>\n"
    )


def _prose(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
    dbt_sources.write()

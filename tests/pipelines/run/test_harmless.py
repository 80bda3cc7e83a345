"""Tests of what the commands print of strangers' texts: nothing that a terminal would obey."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from pipelines.reprocess import terminal
from pipelines.reprocess.diff import Sample
from pipelines.run import people_commands, query_output, shown
from pipelines.run.deciding import Contact, Pair
from pipelines.run.harmless import harmless

HOSTILE = "Ann\x1b]0;owned\x07\x1b[2J\x9b31m\rBob"
OBEYED = set(map(chr, (*range(9), *range(11, 32), *range(127, 160))))


@pytest.mark.parametrize("text", ["Ann\tBob\nCarl", "Ann\r\nBob", "Zoë \N{WAVING HAND SIGN}", "שלום\u200f"])
def test_what_no_terminal_obeys_stays(text):
    assert harmless(text) == text


def test_what_a_terminal_obeys_is_written_out():
    assert harmless(HOSTILE) == r"Ann\x1b]0;owned\x07\x1b[2J\x9b31m\x0dBob"


class Rows(list[Any]):
    """Stands for what a query gave."""

    total_rows = 1
    schema = (SimpleNamespace(name="text"),)


@pytest.mark.parametrize("columns", [1, 40])
def test_a_query_shows_it_written_out(columns):
    rows = Rows([SimpleNamespace(values=lambda: (HOSTILE, [HOSTILE])[:columns])])
    rows.schema = tuple(SimpleNamespace(name=f"c{n}") for n in range(min(columns, 2)))
    file = io.StringIO()

    query_output.show(rows, file=file)

    assert r"Ann\x1b]0;owned" in file.getvalue()
    assert not OBEYED & set(file.getvalue())


def test_a_difference_shows_it_written_out():
    file = io.StringIO()
    console = Console(file=file, width=500)
    row = {"display_name": HOSTILE}

    terminal._show_sample(console, Sample("contacts", "changed", "e", ["display_name"], row, row))

    assert r"Ann\x1b]0;owned" in file.getvalue()
    assert not OBEYED & set(file.getvalue())


def test_a_preview_shows_it_written_out():
    assert not OBEYED & set(shown.cut(HOSTILE) + shown.cut([HOSTILE]))


def test_people_are_shown_with_it_written_out(monkeypatch, capsys):
    class Told:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def contact(self, _):
            return Contact("c1", HOSTILE)

        def person(self, _):
            return {"display_name": HOSTILE, "phone_numbers": [HOSTILE]}

        def pairs(self, _):
            return [Pair("alias", "c1", "c2", HOSTILE, None)]

    monkeypatch.setattr(people_commands, "_decisions", Told)
    people_commands.show.callback("c1")

    printed = capsys.readouterr().out
    assert printed.count(r"Ann\x1b]0;owned") == 4
    assert not OBEYED & set(printed)

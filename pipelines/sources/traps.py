"""Where JMESPath's grammar traps people: what an expression says, and what was meant."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Node = Mapping[str, Any]

_WORDS: Final = {"true": "`true`", "false": "`false`", "null": "`null`", "and": "&&", "or": "||", "not": "!"}
_WORD_OPERATOR: Final = re.compile(r"(?<![\w.'\"`])(and|or|not)(?![\w'\"`(])")
_BARE_NUMBER: Final = re.compile(r"(?:==|!=|<=?|>=?)\s*(-?\d[\d.]*)")
_SINGLE_EQUALS: Final = re.compile(r"(?<![=!<>])=(?!=)")
_HYPHENED: Final = re.compile(r"[A-Za-z_]\w*(?:-\w+)+")
_QUOTED_STEP: Final = re.compile(r"\.'([^']*)'")
_TEXTS: Final = re.compile(r"'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|\"(?:\\.|[^\"\\])*\"")


def of_broken(expression: str) -> str:
    """Return what was probably meant by an expression that cannot be parsed; empty where nothing is known."""
    if quoted := _QUOTED_STEP.search(expression):
        return f'a name that needs quotes has double ones: ."{quoted[1]}"'
    bare = _TEXTS.sub("''", expression)
    if word := _WORD_OPERATOR.search(bare):
        return f"for {word[1]}, write {_WORDS[word[1]]}"
    if number := _BARE_NUMBER.search(bare):
        return f"a number stands in backticks: `{number[1]}`"
    if _SINGLE_EQUALS.search(bare):
        return "to compare, write =="
    if hyphened := _HYPHENED.search(bare):
        return f'a name with a hyphen stands in double quotes: "{hyphened[0]}"'
    return ""


def of_name(name: str, expression: str) -> str:
    """Return what was probably meant by a name that there is not."""
    if name in _WORDS:
        return f"for {name}, write {_WORDS[name]}"
    if f'"{name}"' in expression:
        return f"double quotes make a name: for a text, write '{name}'"
    return ""


def parts_of(node: Node) -> list[Node]:
    """Return the parts of an expression; of a slice none, whose numbers the parser keeps in their place."""
    return [] if node["type"] == "slice" else list(node["children"])


def of_parsed(node: Node) -> Iterator[str]:
    """Yield what an expression says that was hardly meant."""
    if node["type"] == "slice" and node["children"][2] == 0:
        yield "the step of a slice is not 0"
    children = parts_of(node)
    if node["type"] in {"subexpression", "projection", "filter_projection"} and children:
        first = children[0]
        if first["type"] == "not_expression":
            yield "! holds for the first name only, so this is always null: write !(item.x), in brackets"
    for child in children:
        yield from of_parsed(child)

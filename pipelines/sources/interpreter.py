"""JMESPath as the sources file has it: a little more forgiving, and never without end.

https://jmespath.org/specification.html
"""

import base64
import html
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from jmespath import exceptions
from jmespath.functions import Functions, signature
from jmespath.visitor import Options, TreeInterpreter

from pipelines.core.bounds import TooMuchError
from pipelines.sources.json_body import Body

MOST_STEPS: Final = 5_000_000
"""Steps that the expressions of one event may take together: far above any event's, and some seconds."""
_CHARACTERS_PER_STEP: Final = 16

Node = Mapping[str, Any]
_ANYTHING: Final = msgspec.json.Decoder()
_LINE: Final = re.compile(r"<(?:br|/p|/div|/li|/tr)\b[^<>]*>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")
_NO_CHARACTER: Final = re.compile(r"&#[0-9]{4000,};?")
"""A number that is no character's, and so long that Python would not read it."""


class SourceFunctions(Functions):
    """JMESPath's functions; what is asked of nothing is nothing, where the language has an error."""

    def call_function(self, function_name: str, resolved_args: list[Any]) -> Any:
        """Call a function.

        Raises:
            JMESPathTypeError: an argument is of another type, and not null.
        """
        try:
            return super().call_function(function_name, resolved_args)
        except exceptions.JMESPathTypeError:
            if any(argument is None for argument in resolved_args):
                return None
            raise

    @signature({"types": ["string"]}, {"types": ["array"]})
    def _func_join(self, separator: str, parts: list[Any]) -> str:
        for part in parts:
            # Neither is part of an id, and what is missing would make one id of many.
            if isinstance(part, bool) or not isinstance(part, str | int | float):
                raise exceptions.JMESPathTypeError("join", part, type(part).__name__, ["string", "number"])
        return separator.join(map(scalar_text, parts))

    @signature({"types": []})
    def _func_to_string(self, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    @signature({"types": ["string"]})
    def _func_from_json(self, text: str) -> Any:
        """Give what a text that is JSON says; null for any other."""
        try:
            return Body(text.encode()).decode(_ANYTHING)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None

    @signature({"types": ["string"]})
    def _func_from_base64(self, text: str) -> str | None:
        """Give the text that base64 (also of the URL-safe alphabet) spells; null where it spells none."""
        spelt = text.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            return base64.b64decode(spelt + "=" * (-len(spelt) % 4), validate=True).decode()
        except ValueError:
            return None

    @signature({"types": ["string"]})
    def _func_plain_text(self, markup: str) -> str:
        """Give the text of HTML: without tags, with its line breaks, and characters for their names."""
        text = _NO_CHARACTER.sub("\ufffd", _TAG.sub("", _LINE.sub("\n", markup)))
        return html.unescape(text).strip()


class Interpreter(TreeInterpreter):
    """Evaluates the expressions of one event, with steps that are counted."""

    def __init__(self) -> None:
        super().__init__(Options(custom_functions=SourceFunctions()))
        self._left = MOST_STEPS

    def visit(self, node: Node, *args: Any, **kwargs: Any) -> Any:
        """Evaluate a node.

        Raises:
            TooMuchError: the event's expressions have taken too many steps.
        """
        self._left -= 1
        if self._left < 0:
            raise TooMuchError(f"more than {MOST_STEPS:,} steps of expressions")
        method = self._method_cache.get(node["type"])
        if method is None:
            return super().visit(node, *args, **kwargs)
        return method(node, *args, **kwargs)

    def visit_multi_select_list(self, node: Node, value: Any) -> Any:
        """Make a list, which can repeat what it is made of: so all of it counts."""
        return self._counted(super().visit_multi_select_list(node, value))

    def visit_multi_select_dict(self, node: Node, value: Any) -> Any:
        """Make an object, as `visit_multi_select_list`."""
        return self._counted(super().visit_multi_select_dict(node, value))

    def visit_flatten(self, node: Node, value: Any) -> Any:
        """Flatten a list."""
        return self._counted(super().visit_flatten(node, value), deep=False)

    def visit_function_expression(self, node: Node, value: Any) -> Any:
        """Call a function: what it reads was counted where it was made, what it makes counts here."""
        return self._counted(super().visit_function_expression(node, value), deep=node["value"] == "from_json")

    def _counted(self, made: Any, *, deep: bool = True) -> Any:
        stack = [made]
        while stack:
            each = stack.pop()
            if isinstance(each, str):
                self._left -= len(each) // _CHARACTERS_PER_STEP
            elif isinstance(each, list | dict):
                self._left -= len(each)
                if deep:
                    stack.extend(each if isinstance(each, list) else each.values())
            if self._left < 0:
                raise TooMuchError(f"more than {MOST_STEPS:,} steps of expressions")
        return made


def scalar_text(value: Any) -> str:
    """Return a string, number or truth value as text; empty for anything else."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case _:
            return ""

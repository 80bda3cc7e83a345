"""Gives functions the meaning that they have in BigQuery, where DuckDB answers otherwise without an error.

sqlglot and bqemulator 1.4 translate names. What differs in what the functions do is written here before they
translate: as macros of DuckDB, whose names pass through the translation as they are.

- Weeks begin on Sunday, or on the day that WEEK(day) names: in DuckDB always on Monday, as ISOWEEK.
- Casts to INT64 round halves away from zero, in DuckDB to the even number; and text that is no whole number, or
  neither `true` nor `false`, is none: in DuckDB '1.5' is 2 and 'yes' is true.
- A FLOAT64 or NUMERIC as text has no zeros at its end: in DuckDB 2 is '2.0'.
- What is no JSON has no value in it: in DuckDB it is an error. JSON_TYPE tells BigQuery's names of types.
- Milliseconds and microseconds are those of the second, in DuckDB those of the minute.
- PARSE_TIMESTAMP and TIMESTAMP_TRUNC to an hour heed the time zone, which sqlglot leaves out.
- ARRAY_SLICE counts from zero. APPROX_TOP_COUNT tells values with their counts, in DuckDB values alone.
- A backslash before a letter or digit is an escape of the character that it names; in a pattern of LIKE it takes
  `%` and `_` for what they are. TRIM takes all white space, in DuckDB spaces alone.

https://cloud.google.com/bigquery/docs/reference/standard-sql/date_functions#date_trunc
https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_functions#cast
https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#escape_sequences
https://cloud.google.com/bigquery/docs/reference/standard-sql/operators#like_operator
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError

BAD: Final = "\u2060"
"""After what DuckDB would cast and BigQuery would not, so that it does not either: nobody sees it."""
_MACROS: Final = {
    # A week that begins so many days after Monday.
    "parley_week(day, later)": "cast_to_type(date_trunc('week', day - to_days(later)) + to_days(later), day)",
    "parley_iso_year(day)": (
        "cast_to_type(date_trunc('week', make_date(CAST(isoyear(day) AS BIGINT), 1, 4)), day)"
    ),
    "parley_weeks(one, other, later)": (
        "CAST(date_diff('day', date_trunc('week', other - to_days(later)),"
        " date_trunc('week', one - to_days(later))) / 7 AS BIGINT)"
    ),
    "parley_week_number(day, later)": (
        "CAST((dayofyear(day) + 6 - (isodow(day) + 6 - later) % 7) // 7 AS BIGINT)"
    ),
    "parley_hour(moment, zone)": (
        "timezone('UTC', date_trunc('hour', timezone(zone, moment)) - (timezone(zone, moment)"
        " - timezone('UTC', moment)))"
    ),
    "parley_json_type(given)": (
        "CASE WHEN json_type(given) = 'VARCHAR' THEN 'string' WHEN json_type(given) IN"
        " ('UBIGINT', 'BIGINT', 'HUGEINT', 'DOUBLE') THEN 'number' ELSE lower(json_type(given)) END"
    ),
    "parley_top(given, most)": (
        "list_transform(list_slice(list_reverse_sort(list_transform(map_entries(histogram(given)),"
        " each -> {'count': each.value, 'value': each.key})), 1, most),"
        " each -> {'value': each.value, 'count': CAST(each.count AS BIGINT)})"
    ),
    "parley_slice(given, first, last)": (
        "list_slice(given, first + CAST(first >= 0 AS INTEGER), last + CAST(last >= 0 AS INTEGER))"
    ),
    "parley_int64(given)": (
        "CASE WHEN typeof(given) IN ('DOUBLE', 'FLOAT') THEN CAST(round(CAST(given AS DOUBLE)) AS BIGINT)"
        " WHEN typeof(given) = 'VARCHAR' AND NOT regexp_full_match(CAST(given AS VARCHAR),"
        rf" '\s*[+-]?([0-9]+|0[xX][0-9a-fA-F]+)\s*') THEN CAST(CAST(given AS VARCHAR) || '{BAD}' AS BIGINT)"
        " ELSE CAST(given AS BIGINT) END"
    ),
    "parley_bool(given)": (
        "CASE WHEN typeof(given) = 'VARCHAR' AND lower(CAST(given AS VARCHAR)) NOT IN ('true', 'false')"
        f" THEN CAST(CAST(given AS VARCHAR) || '{BAD}' AS BOOLEAN) ELSE CAST(given AS BOOLEAN) END"
    ),
    "parley_string(text, given)": (
        "CASE WHEN typeof(given) = 'DOUBLE' OR typeof(given) LIKE 'DECIMAL%'"
        r" THEN regexp_replace(text, '(\.[0-9]*?)0+$', '\1').rtrim('.') ELSE text END"
    ),
}
_WANTED: Final = re.compile(
    r"WEEK|ISOYEAR|CAST\s*\(|\bJSON_|PARSE_TIMESTAMP|TIMESTAMP_TRUNC|APPROX_TOP_COUNT|(MILLI|MICRO)SECOND|STRUCT|ARRAY_SLICE",
    re.IGNORECASE,
)
_DAYS: Final = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_SPACE: Final = " \t\n\v\f\r\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_LAST: Final = 0x10FFFF
_ESCAPES: Final = re.compile(
    r"\\(?:u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|[xX](?P<x>[0-9a-fA-F]{2})|(?P<o>[0-3][0-7]{2})|.)", re.S
)


def apply() -> None:
    """Repair bqemulator in this process; to be called before its server is made."""
    transforms = DuckDB.Generator.TRANSFORMS
    transforms[exp.UnixSeconds] = lambda self, node: f"CAST(FLOOR(EPOCH({self.sql(node, 'this')})) AS BIGINT)"
    transforms[exp.Like] = _like
    transforms[exp.Trim] = _trimmed(transforms.get(exp.Trim) or (lambda self, node: self.trim_sql(node)))


def define(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the macros in a database."""
    for head, body in _MACROS.items():
        connection.execute(f"CREATE OR REPLACE MACRO {head} AS {body}")


def meant(sql: str) -> str:
    """Return a statement in which macros stand for what DuckDB would take otherwise."""
    if not _WANTED.search(sql):
        return sql
    try:
        parsed = sqlglot.parse_one(sql, read="bigquery")
    except SqlglotError:
        return sql  # bqemulator tells what is wrong.
    changed = False
    # What is inside first, since what is outside copies it.
    for node in reversed(list(parsed.walk())):
        rule = _RULES.get(type(node))
        # What is made may name its argument twice, but a parameter without a name is given by its place.
        made = rule(node) if rule and not node.find(exp.Placeholder) else None
        if made is not None:
            changed = True
            if node is parsed:
                return str(made.sql("bigquery"))
            node.replace(made)
    if not changed:
        return sql
    for values in list(parsed.find_all(exp.Values)):
        _keep(values)
    return str(parsed.sql("bigquery"))


def without_escapes(quoted: str) -> str:
    """Return a literal of text with the characters that its escapes name in their place."""

    def character(found: re.Match[str]) -> str:
        code = found["u"] or found["U"] or found["x"]
        number = int(code, 16) if code else int(found["o"] or "0", 8)
        # Half a character, as JSON escapes emoji, is none, nor is what Unicode has not.
        made = chr(number) if number <= _LAST and not 0xD800 <= number <= 0xDFFF else ""
        return made if made >= " " and made not in {"\\", "'", '"', "`", "\x7f"} else found[0]

    return _ESCAPES.sub(character, quoted)


def _keep(values: exp.Values) -> None:
    """Keep the names of columns of VALUES, as bqemulator writes INFORMATION_SCHEMA: sqlglot drops them."""
    named = values.parent
    alias = named.args.get("alias") if isinstance(named, exp.Subquery) else None
    if named is None or alias is None or not alias.columns:
        return
    rows = ", ".join(row.sql("bigquery") for row in values.expressions)
    columns = ", ".join(column.sql("bigquery") for column in alias.columns)
    named.replace(exp.Var(this=f"(VALUES {rows}) AS {alias.this.sql('bigquery')}({columns})"))


def _called(name: str, *given: exp.Expression | int) -> exp.Expression:
    arguments = [exp.Literal.number(one) if isinstance(one, int) else one.copy() for one in given]
    return exp.Anonymous(this=name, expressions=arguments)


def _later(unit: exp.Expression | None) -> int | None:
    """Return how long after Monday the weeks of a part begin; None where it is no week."""
    if isinstance(unit, exp.WeekStart):
        name = unit.name.upper()
        return _DAYS.index(name) if name in _DAYS else None
    return {"WEEK": 6, "ISOWEEK": 0}.get(unit.name.upper() if unit else "")


def _truncated(node: exp.Expression) -> exp.Expression | None:
    unit, zone = node.args.get("unit"), node.args.get("zone")
    later = _later(unit)
    day = node.this
    if isinstance(node, exp.DatetimeTrunc):
        day = exp.cast(day.copy(), "DATETIME")
    if zone is not None:
        day = _called("TIMEZONE", zone, node.this)
    if zone is not None and unit is not None and unit.name.upper() == "HOUR":
        return _called("parley_hour", node.this, zone)
    if later is not None:
        made = _called("parley_week", day, later)
    elif unit is not None and unit.name.upper() == "ISOYEAR":
        made = _called("parley_iso_year", day)
    else:
        return None
    return made if zone is None else _called("TIMEZONE", zone, made)


def _difference(node: exp.Expression) -> exp.Expression | None:
    later = _later(node.args.get("unit"))
    return None if later is None else _called("parley_weeks", node.this, node.expression, later)


def _last_day(node: exp.Expression) -> exp.Expression | None:
    later = _later(node.args.get("unit"))
    if later is None:
        return None
    begun = exp.cast(_called("parley_week", node.this, later), "DATE")
    return exp.cast(exp.Add(this=begun, expression=exp.Literal.number(6)), "DATE")


def _extracted(node: exp.Expression) -> exp.Expression | None:
    part = node.this
    if parts := {"MILLISECOND": 1_000, "MICROSECOND": 1_000_000}.get(part.name.upper()):
        return exp.Mod(this=node.copy(), expression=exp.Literal.number(parts))
    later = _later(part) if isinstance(part, exp.WeekStart) else None
    return None if later is None else _called("parley_week_number", node.expression, later)


def _parsed_in_zone(node: exp.ParseTime | exp.StrToTime) -> exp.Expression | None:
    zone, form = node.args.get("zone"), node.args.get("format")
    if zone is None or form is None or re.search("%E?z|%Z", form.name):
        return None
    return _called("TIMEZONE", zone, exp.ParseDatetime(this=node.this.copy(), format=form.copy()))


def _of_array(node: exp.Tuple) -> exp.Expression | None:
    """Return what stands in parentheses in an array of STRUCTs as one of them."""
    array = node.parent
    if isinstance(array, exp.Array) and isinstance(array.expressions[0], exp.Struct):
        return exp.Struct(expressions=[each.copy() for each in node.expressions])
    return None


def _cast(node: exp.Cast) -> exp.Expression | None:
    """Return a cast of what is written once: a macro computes its argument more than once."""
    given = node.this
    if node.args.get("format") or given.find(exp.Query, exp.Rand) or isinstance(given, exp.Null):
        return None
    if node.is_type(exp.DataType.Type.BIGINT):
        made = _called("parley_int64", given)
    elif node.is_type(exp.DataType.Type.BOOLEAN):
        made = _called("parley_bool", given)
    elif node.is_type(exp.DataType.Type.TEXT) and not given.is_string:
        return _called("parley_string", node, given)
    else:
        return None
    made = exp.cast(made, node.to.copy())
    return _called("TRY", made) if isinstance(node, exp.TryCast) else made


def _json(node: exp.Expression) -> exp.Expression | None:
    # DuckDB tries no subquery.
    if node.find(exp.Query) or isinstance(node.this, exp.ParseJSON | exp.JSON):
        return None
    return _called("TRY", node)


_RULES: Final[Mapping[type[Any], Callable[[Any], exp.Expression | None]]] = {
    **dict.fromkeys((exp.DateTrunc, exp.TimestampTrunc, exp.DatetimeTrunc), _truncated),
    **dict.fromkeys((exp.DateDiff, exp.DatetimeDiff), _difference),
    **dict.fromkeys((exp.Cast, exp.TryCast), _cast),
    exp.ArraySlice: lambda node: _called("parley_slice", node.this, node.args["start"], node.args["end"]),
    exp.ApproxTopK: lambda node: _called("parley_top", node.this, node.expression),
    exp.JSONExtractScalar: _json,
    exp.JSONType: lambda node: _called("parley_json_type", node.this),
    exp.StrToTime: _parsed_in_zone,
    exp.Tuple: _of_array,
    exp.LastDay: _last_day,
    exp.Extract: _extracted,
}


def _like(generator: Any, node: exp.Like) -> str:
    """Return a comparison in which a backslash escapes."""
    written = str(generator.like_sql(node))
    if isinstance(node.parent, exp.Escape) or isinstance(node.expression, exp.Any | exp.All):
        return written
    return f"{written} ESCAPE '\\'"


def _trimmed(trim: Callable[[Any, Any], str]) -> Callable[[Any, exp.Trim], str]:
    """Return what trims all white space where nothing else is named."""

    def trimmed(generator: Any, node: exp.Trim) -> str:
        if node.expression is None:
            node = node.copy()
            node.set("expression", exp.Literal.string(_SPACE))
        return trim(generator, node)

    return trimmed

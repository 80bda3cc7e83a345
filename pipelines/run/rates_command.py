"""`parley rates`: is the rate card, by which message_costs knows the money, complete and without contradiction?"""

from collections.abc import Iterator
from typing import Final

import click
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from pipelines.bigquery.target import Target, client
from pipelines.run.table_commands import target

_NUMBERED: Final = """
WITH numbered AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      ORDER BY source, direction, category, number_prefix, unit, valid_from, valid_until, currency, price_micros
    ) AS number,
    FORMAT(
      '%s %s %s +%s by %s from %s to %s',
      source,
      COALESCE(direction, '*'),
      COALESCE(category, '*'),
      COALESCE(number_prefix, '*'),
      unit,
      COALESCE(CAST(valid_from AS STRING), '*'),
      COALESCE(CAST(valid_until AS STRING), '*')
    ) AS name
  FROM `{rates}`
)
"""
_MISTAKES: Final = {
    "unit is none of message, segment, conversation": "unit NOT IN ('message', 'segment', 'conversation')",
    "direction is neither inbound nor outbound": "direction NOT IN ('inbound', 'outbound')",
    "category has other signs than small letters, digits and _": "NOT REGEXP_CONTAINS(category, r'^[a-z0-9_]+$')",
    "number_prefix has more than digits": "NOT REGEXP_CONTAINS(number_prefix, r'^[0-9]+$')",
    "currency is no code of three capital letters": "NOT REGEXP_CONTAINS(currency, r'^[A-Z]{3}$')",
    "price_micros is negative": "price_micros < 0",
    "valid_until is before valid_from": "valid_until < valid_from",
}
"""What can be wrong with a rate, and the condition that it is."""
_MISTAKEN: Final = "SELECT name, 1 AS n FROM numbered WHERE {mistake} ORDER BY number"
_TWICE: Final = """
SELECT CONCAT(one.name, ', and from ', COALESCE(CAST(other.valid_from AS STRING), '*')) AS name, 1 AS n
FROM numbered AS one
INNER JOIN numbered AS other ON other.source = one.source
WHERE
  one.number < other.number
  AND COALESCE(one.direction, '*') = COALESCE(other.direction, '*')
  AND COALESCE(one.category, '*') = COALESCE(other.category, '*')
  AND COALESCE(one.number_prefix, '*') = COALESCE(other.number_prefix, '*')
  AND (one.unit = 'conversation') = (other.unit = 'conversation')
  AND COALESCE(one.valid_from, DATE '0001-01-01') <= COALESCE(other.valid_until, DATE '9999-12-31')
  AND COALESCE(other.valid_from, DATE '0001-01-01') <= COALESCE(one.valid_until, DATE '9999-12-31')
ORDER BY one.number, other.number
"""
_UNPRICED: Final = """
SELECT
  FORMAT(
    '%s %s, category %s, numbers +%s…',
    source, direction, COALESCE(category, 'not told'), COALESCE(SUBSTR(number, 1, 2), '?')
  ) AS name,
  COUNT(*) AS n
FROM `{message_costs}`
WHERE is_charged AND cost_micros IS NULL
GROUP BY name
ORDER BY n DESC, name
"""


@click.group()
def rates() -> None:
    """Prices: what an analyst says that messages cost (the table rates)."""


@rates.command()
def check() -> None:
    """Look for mistakes in the rate card, and for messages that no rate fits. Exits with 1 where there are any."""
    where = target()
    found = False
    try:
        connection = client(where)
        count = _count(connection, where)
        for what, lines in problems(connection, where):
            found = True
            click.echo(f"{what}:")
            for line in lines:
                click.echo(f"  {line}")
    except GoogleAPICallError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{count} rates{'' if found else ': in order'}")
    click.get_current_context().exit(int(found))


def problems(connection: bigquery.Client, where: Target) -> Iterator[tuple[str, list[str]]]:
    """Yield what is wrong with the rate card, each kind with the rates or messages that it is about."""
    numbered = _NUMBERED.format(rates=where.view("rates"))
    questions = {what: numbered + _MISTAKEN.format(mistake=mistake) for what, mistake in _MISTAKES.items()}
    questions["two rates hold for the same on the same day"] = numbered + _TWICE
    questions["charged messages have no price"] = _UNPRICED.format(message_costs=where.view("message_costs"))
    for what, sql in questions.items():
        rows = connection.query(sql).result()
        if lines := [row["name"] if row["n"] == 1 else f"{row['n']} × {row['name']}" for row in rows]:
            yield what, lines


def _count(connection: bigquery.Client, where: Target) -> int:
    rows = connection.query(f"SELECT COUNT(*) AS n FROM `{where.view('rates')}`").result()  # noqa: S608
    return int(next(iter(rows))["n"])

"""What BigQuery has and published GoogleSQL lacks, written with what it has."""

import re

_MAX_BY = re.compile(r"\b(?P<which>MAX|MIN)_BY\((?P<value>\w+(?:\.\w+)?), (?P<by>(?:[^()]|\([^()]*\))+)\)")
_QUANTILE = re.compile(r"APPROX_QUANTILES\((?P<value>.+?), (?P<parts>\d+)\)\[OFFSET\((?P<part>\d+)\)\]")


def as_published(sql: str) -> str:
    """Return SQL that published GoogleSQL analyzes: BigQuery documents MAX_BY as ANY_VALUE … HAVING MAX.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/aggregate_functions#max_by
    """
    return _MAX_BY.sub(r"ANY_VALUE(\g<value> HAVING \g<which> \g<by>)", sql)


def as_executable(sql: str) -> str:
    """Return SQL that the reference implementation runs: it has no APPROX_QUANTILES, so the exact one instead.

    Of an approximation nothing more than that can be compared. The local BigQuery computes the same one.
    """
    exact = (
        r"(ARRAY_AGG(\g<value> IGNORE NULLS ORDER BY \g<value>)"
        r"[SAFE_OFFSET(GREATEST(DIV(COUNT(\g<value>) * \g<part> + \g<parts> - 1, \g<parts>), 1) - 1)])"
    )
    return _QUANTILE.sub(exact, as_published(sql))

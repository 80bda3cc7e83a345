"""GoogleSQL itself, as a judge: Google's analyzer and its reference implementation, on this machine.

The local BigQuery translates to DuckDB and forgives what Google refuses. `zetasql` is GoogleSQL as Google
publishes it, compiled to WebAssembly; it is given the language features that BigQuery has.
https://github.com/google/zetasql
https://github.com/GoogleCloudPlatform/zetasql-toolkit (which features and statements BigQuery has)
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from string import Template
from typing import Any

from google.cloud import bigquery
from zetasql.api import Analyzer, CatalogBuilder, PreparedQuery, TableBuilder, TypeFactory
from zetasql.types import AnalyzerOptions, LanguageOptions, TypeKind, ZetaSQLBuiltinFunctionOptions
from zetasql.types.proto_model.generated import LanguageFeature, NameResolutionMode, ProductMode, ResolvedNodeKind

from pipelines.bigquery.deploy import in_dependency_order
from pipelines.reprocess import staging
from schemas import loader

PROJECT = "parley-test"
ROWS = f"{PROJECT}.parley_rows"
VIEWS = f"{PROJECT}.parley"

# Of the language; what BigQuery adds by itself (row policies, models) no statement of ours uses.
_FEATURES = (
    "ADDITIONAL_STRING_FUNCTIONS",
    "ALLOW_DASHES_IN_TABLE_NAME",
    "CASE_STMT",
    "CONCAT_MIXED_TYPES",
    "DATE_ARITHMETICS",
    "DATE_TIME_CONSTRUCTORS",
    "DECIMAL_ALIAS",
    "EXTENDED_DATE_TIME_SIGNATURES",
    "FORMAT_IN_CAST",
    "IS_DISTINCT",
    "LIKE_ANY_SOME_ALL",
    "NULLS_FIRST_LAST_IN_ORDER_BY",
    "OMIT_INSERT_COLUMN_LIST",
    "PIVOT",
    "QUALIFY",
    "REPEAT",
    "UNNEST_AND_FLATTEN_ARRAYS",
    "UNPIVOT",
    "WITH_GROUP_ROWS",
    "WITH_RECURSIVE",
    "ALLOW_REGEXP_EXTRACT_OPTIONALS",
)
_OTHER_FEATURES = (
    "FEATURE_ANALYTIC_FUNCTIONS",
    "FEATURE_JSON_TYPE",
    "FEATURE_JSON_VALUE_EXTRACTION_FUNCTIONS",
    "FEATURE_JSON_ARRAY_FUNCTIONS",
    "FEATURE_NUMERIC_TYPE",
    "FEATURE_BIGNUMERIC_TYPE",
    "FEATURE_INTERVAL_TYPE",
    "FEATURE_NAMED_ARGUMENTS",
    "FEATURE_PARAMETERIZED_TYPES",
    "FEATURE_TIME_BUCKET_FUNCTIONS",
    "FEATURE_TEMPLATE_FUNCTIONS",
    "FEATURE_V_1_1_HAVING_IN_AGGREGATE",
    "FEATURE_V_1_1_LIMIT_IN_AGGREGATE",
    "FEATURE_V_1_1_NULL_HANDLING_MODIFIER_IN_AGGREGATE",
    "FEATURE_V_1_1_NULL_HANDLING_MODIFIER_IN_ANALYTIC",
    "FEATURE_V_1_1_ORDER_BY_IN_AGGREGATE",
    "FEATURE_V_1_1_SELECT_STAR_EXCEPT_REPLACE",
    "FEATURE_V_1_1_WITH_ON_SUBQUERY",
    "FEATURE_V_1_2_CIVIL_TIME",
    "FEATURE_V_1_2_SAFE_FUNCTION_CALL",
    "FEATURE_V_1_2_WEEK_WITH_WEEKDAY",
    "FEATURE_V_1_4_ARRAY_AGGREGATION_FUNCTIONS",
    "FEATURE_V_1_4_GROUPING_SETS",
    "FEATURE_V_1_4_GROUP_BY_ALL",
    "FEATURE_DML_UPDATE_WITH_JOIN",
    "FEATURE_CREATE_TABLE_CLUSTER_BY",
    "FEATURE_CREATE_TABLE_FIELD_ANNOTATIONS",
    "FEATURE_CREATE_TABLE_NOT_NULL",
    "FEATURE_CREATE_TABLE_PARTITION_BY",
)
_STATEMENTS = (
    "QUERY",
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "TRUNCATE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "CREATE_SCHEMA",
    "ALTER_SCHEMA",
    "CREATE_TABLE",
    "CREATE_TABLE_AS_SELECT",
    "CREATE_VIEW",
    "ALTER_TABLE",
    "DROP",
)
_MAX_BY = re.compile(r"\bMAX_BY\((\w+(?:\.\w+)?), ((?:[^()]|\([^()]*\))+)\)")
_KINDS = {
    "STRING": TypeKind.TYPE_STRING,
    "INT64": TypeKind.TYPE_INT64,
    "INTEGER": TypeKind.TYPE_INT64,
    "TIMESTAMP": TypeKind.TYPE_TIMESTAMP,
    "DATE": TypeKind.TYPE_DATE,
    "BYTES": TypeKind.TYPE_BYTES,
    "BOOL": TypeKind.TYPE_BOOL,
}
_NAMES = re.compile(r"`([\w-]+\.\w+\.\w+)`")
_CREATED = re.compile(r"CREATE TABLE `[\w-]+\.\w+\.(?P<name>\w+)` AS\b")
_IF = re.compile(r"IF (?P<condition>.*) THEN RAISE USING MESSAGE = '[^']*'; END IF", re.S)


def rendered(sql: str) -> str:
    """Return a view's SQL as it is deployed."""
    return Template(sql).substitute(rows=ROWS, views=VIEWS)


def language() -> LanguageOptions:
    """Return GoogleSQL as BigQuery speaks it."""
    features = [*(f"FEATURE_V_1_3_{name}" for name in _FEATURES), *_OTHER_FEATURES]
    return LanguageOptions(
        enabled_language_features=[getattr(LanguageFeature, name) for name in features],
        supported_statement_kinds=[getattr(ResolvedNodeKind, f"RESOLVED_{name}_STMT") for name in _STATEMENTS],
        product_mode=ProductMode.PRODUCT_EXTERNAL,
        name_resolution_mode=NameResolutionMode.NAME_RESOLUTION_DEFAULT,
        reserved_keywords=["QUALIFY"],
    )


class Judge:
    """Analyzes statements against the tables and views of `schemas/`, in whatever datasets they are."""

    def __init__(self) -> None:
        self._language = language()
        self._views: dict[str, list[tuple[str, Any]]] = {}
        self._made: dict[str, list[tuple[str, Any]]] = {}

    def add_views(self) -> list[str]:
        """Analyze every view after those that it reads; return their names.

        Raises:
            InvalidArgumentError: GoogleSQL refuses one.
        """
        names = in_dependency_order(loader.views())
        for name in names:
            statement = self.analyze(rendered(loader.views()[name]))
            self._views[name] = [(column.name, column.column.type) for column in statement.output_column_list]
        return names

    def analyze(self, sql: str) -> Any:
        """Return a statement as GoogleSQL resolves it; parameters have whatever type it infers.

        Raises:
            InvalidArgumentError: GoogleSQL refuses it; the message says where and why.
        """
        statement = Analyzer.analyze_statement_static(as_published(sql), self._options(), self._catalog(sql))
        if made := _CREATED.match(sql.strip()):
            self._made[made["name"]] = [(column.name, column.type) for column in statement.column_definition_list]
        return statement

    def know(self, name: str, columns: Iterable[bigquery.SchemaField]) -> None:
        """Know a table, whatever its dataset, that no statement has made."""
        self._made[name] = [(c.name, _type(c.field_type, c.mode == "REPEATED")) for c in columns]

    def execute(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query that reads no table, by the reference implementation."""
        query = (
            PreparedQuery.builder()
            .set_sql(as_published(sql))
            .set_analyzer_options(self._options())
            .set_catalog(self._catalog(""))
            .prepare()
        )
        with query:
            table = query.execute().content.table_data
            names = [column.name for column in query.columns]
        return [dict(zip(names, map(_value, row.cell), strict=True)) for row in table.row or []]

    def _options(self) -> AnalyzerOptions:
        return AnalyzerOptions(
            language_options=self._language, default_timezone="UTC", allow_undeclared_parameters=True
        )

    def _catalog(self, sql: str) -> Any:
        builder = CatalogBuilder("bigquery").with_builtin_functions(
            ZetaSQLBuiltinFunctionOptions(language_options=self._language)
        )
        for number, name in enumerate(sorted(set(_NAMES.findall(_CREATED.sub("", sql.strip())))), start=1):
            table = TableBuilder(name).with_serialization_id(number)
            for column, kind in self._columns(name):
                table.add_column(column, kind)
            builder.add_table(table.build())
        return builder.build()

    def _columns(self, full_name: str) -> list[tuple[str, Any]]:
        _, dataset, name = full_name.split(".")
        if dataset.endswith("parley"):
            return self._views[name]
        if name in self._made:
            return self._made[name]
        if name in staging.SCHEMAS:
            fields = [(column, *_field(kind)) for column, kind in staging.SCHEMAS[name].items()]
        else:
            columns = loader.tables()[name.removeprefix("before_")].columns
            fields = [(column.name, column.type, column.mode == "REPEATED") for column in columns]
        return [(column, _type(kind, repeated)) for column, kind, repeated in fields]


def statements(script: str) -> Iterator[str]:
    """Yield the SQL statements of a script as BigQuery would run them, without what only steers the script.

    A condition (`IF … THEN`) is judged as a query.
    """
    for part in script.split(";\n"):
        text = part.strip().removesuffix(";").strip()
        if condition := _IF.fullmatch(text):
            yield f"SELECT {condition['condition']}"
        elif text:
            yield text


def string_literal(text: str | None) -> str:
    """Return text as a GoogleSQL literal, whatever is in it."""
    if text is None:
        return "NULL"
    return "'" + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in text) + "'"


def as_published(sql: str) -> str:
    """Return SQL as published GoogleSQL takes it: BigQuery documents MAX_BY as ANY_VALUE … HAVING MAX."""
    return _MAX_BY.sub(r"ANY_VALUE(\1 HAVING MAX \2)", sql)


def _field(kind: str) -> tuple[str, bool]:
    return kind.removeprefix("REPEATED "), kind.startswith("REPEATED ")


@cache
def _type(kind: str, repeated: bool) -> Any:
    simple = TypeFactory.create_simple_type(_KINDS[kind])
    return TypeFactory.create_array_type(simple) if repeated else simple


def _value(cell: Any) -> Any:
    for field in ("string_value", "int64_value", "bool_value", "double_value"):
        if (value := getattr(cell, field, None)) is not None:
            return value
    if (array := getattr(cell, "array_value", None)) is not None:
        return [_value(each) for each in array.element or []]
    if (struct := getattr(cell, "struct_value", None)) is not None:
        return [_value(each) for each in struct.field or []]
    return None

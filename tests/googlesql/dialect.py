"""GoogleSQL as BigQuery speaks it: which of the language's features and statements it has.

https://github.com/GoogleCloudPlatform/zetasql-toolkit (BigQueryLanguageOptions)
"""

from functools import cache

from zetasql.wasi._pb2.zetasql.proto import options_pb2
from zetasql.wasi._pb2.zetasql.public import options_pb2 as public
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_node_kind_pb2

# Of the language; what BigQuery adds by itself (row policies, models) no statement of ours uses.
_FEATURES = (
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
    "FEATURE_V_1_3_ADDITIONAL_STRING_FUNCTIONS",
    "FEATURE_V_1_3_ALLOW_DASHES_IN_TABLE_NAME",
    "FEATURE_V_1_3_ALLOW_REGEXP_EXTRACT_OPTIONALS",
    "FEATURE_V_1_3_CASE_STMT",
    "FEATURE_V_1_3_CONCAT_MIXED_TYPES",
    "FEATURE_V_1_3_DATE_ARITHMETICS",
    "FEATURE_V_1_3_DATE_TIME_CONSTRUCTORS",
    "FEATURE_V_1_3_DECIMAL_ALIAS",
    "FEATURE_V_1_3_EXTENDED_DATE_TIME_SIGNATURES",
    "FEATURE_V_1_3_FORMAT_IN_CAST",
    "FEATURE_V_1_3_IS_DISTINCT",
    "FEATURE_V_1_3_LIKE_ANY_SOME_ALL",
    "FEATURE_V_1_3_NULLS_FIRST_LAST_IN_ORDER_BY",
    "FEATURE_V_1_3_OMIT_INSERT_COLUMN_LIST",
    "FEATURE_V_1_3_PIVOT",
    "FEATURE_V_1_3_QUALIFY",
    "FEATURE_V_1_3_REPEAT",
    "FEATURE_V_1_3_UNNEST_AND_FLATTEN_ARRAYS",
    "FEATURE_V_1_3_UNPIVOT",
    "FEATURE_V_1_3_WITH_GROUP_ROWS",
    "FEATURE_V_1_3_WITH_RECURSIVE",
    "FEATURE_V_1_4_ARRAY_AGGREGATION_FUNCTIONS",
    "FEATURE_V_1_4_GROUPING_SETS",
    "FEATURE_V_1_4_GROUP_BY_ALL",
    "FEATURE_CREATE_TABLE_CLUSTER_BY",
    "FEATURE_CREATE_TABLE_FIELD_ANNOTATIONS",
    "FEATURE_CREATE_TABLE_NOT_NULL",
    "FEATURE_CREATE_TABLE_PARTITION_BY",
    "FEATURE_DML_UPDATE_WITH_JOIN",
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


@cache
def language() -> options_pb2.LanguageOptionsProto:
    """Return the options with which GoogleSQL takes what BigQuery takes."""
    kinds = (f"RESOLVED_{name}_STMT" for name in _STATEMENTS)
    return options_pb2.LanguageOptionsProto(
        enabled_language_features=[public.LanguageFeature.Value(name) for name in _FEATURES],
        supported_statement_kinds=[resolved_node_kind_pb2.ResolvedNodeKind.Value(kind) for kind in kinds],
        product_mode=public.ProductMode.PRODUCT_EXTERNAL,
        name_resolution_mode=public.NameResolutionMode.NAME_RESOLUTION_DEFAULT,
        reserved_keywords=["QUALIFY"],
    )

"""What the local BigQuery says of a wrong query: in the words of who wrote it, with the place where it stands."""

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from pipelines.bigquery.target import Target

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT nonsense FROM messages", "Unrecognized name: nonsense at [1:8]"),
        ("SELECT contnt FROM messages", "Unrecognized name: contnt; Did you mean content? at [1:8]"),
        ("SELECT\n  m.nope\nFROM messages AS m", "Name nope not found inside m at [2:5]"),
        ("SELECT source FROM messages ORDER BY nope", "Unrecognized name: nope at [1:38]"),
        (
            "SELECT source, content FROM messages GROUP BY source",
            "Expression references column content which is neither grouped nor aggregated at [1:16]",
        ),
        ("SELECT nope(source) FROM messages", "Function not found: nope at [1:8]"),
        ("SELECT 'b' + 1", "No matching signature for operator + for argument types: STRING, INT64 at [1:12]"),
        (
            "SELECT SUM(source) FROM messages",
            "No matching signature for function SUM for argument types: STRING at [1:8]",
        ),
        (
            "SELECT 1 FROM messages WHERE sent_at > 5",
            "No matching signature for a comparison of argument types: TIMESTAMP, INT64",
        ),
        ("SELECT CAST('x' AS INT64)", "Bad int64 value: x"),
        ("SELECT 1 / 0", "division by zero: 1 / 0"),
        ("SELECT (1", "Syntax error: Expected ) at [1:9]"),
        ("SELECT 'x", "Syntax error: Unclosed string literal at [1:8]"),
        ("SELECT * FROM messages WHERE", "Syntax error: Something is missing at [1:28]"),
    ],
)
def test_an_error_is_about_the_query_as_it_was_written(
    bigquery_client: bigquery.Client, bigquery_target: Target, sql: str, said: str
):
    config = bigquery.QueryJobConfig(default_dataset=f"{bigquery_target.project}.{bigquery_target.views_dataset}")

    with pytest.raises(GoogleAPICallError) as caught:
        bigquery_client.query(sql, job_config=config, job_retry=None).result()

    assert caught.value.errors[0]["message"] == said

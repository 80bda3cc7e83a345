"""Every statement that the product can send to BigQuery is one that GoogleSQL accepts.

The product does what it can do (`rendering`) and what it sends is recorded. A call that sends, or a piece of SQL
in the code, that none of this reaches fails here: let `rendering` reach it.
"""

import uuid
from collections.abc import Iterator, Sequence

import pytest
from bigquery_fixtures import PROJECT, Emulator

from pipelines.bigquery import deploy
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target, client
from pipelines.erase import warehouse
from pipelines.reprocess import archived, reconcile
from tests.googlesql import rendering, sources, test_deployment_script
from tests.googlesql.engine import RefusedError
from tests.googlesql.judge import Judge, canonical, shape, statements
from tests.googlesql.recording import Sent, recorded

pytestmark = [pytest.mark.timeout(1_800), pytest.mark.thorough]
"""What the product does here is much, though it takes a minute where nobody else is at work."""


@pytest.fixture(scope="module")
def sent(bigquery_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Sent]]:
    """Everything that the product sends."""
    target = Target.prefixed(PROJECT, f"s{uuid.uuid4().hex[:12]}_")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REST_EMULATOR, bigquery_emulator.rest)
        patch.setenv(GRPC_EMULATOR, bigquery_emulator.rpc)
        with client(target) as opened:
            deploy.deploy(opened, target)
            product = rendering.product(opened, target, tmp_path_factory.mktemp("archive"), patch)
            with recorded() as found:
                product.do_everything()
            found += (Sent(sql, (), has_default_dataset=False, is_ours=True, call=None) for sql in product.printed)
            yield found


def test_every_statement_that_the_product_sends_is_accepted(judge: Judge, sent: Sequence[Sent]):
    judge.know(archived.TABLE, reconcile.COLUMNS)
    for table in warehouse.LISTS:
        judge.know(table, warehouse.COLUMNS)
    # What `tables deploy --dry-run` prints for an empty project is judged in test_deployment_script.
    elsewhere = {sql for step in test_deployment_script.STEPS for sql in map(canonical, step.sql)}
    ours = [each for each in sent if each.is_ours and canonical(each.sql) not in elsewhere]
    refused: dict[str, str] = {}
    accepted = 0
    each = ((s, e.has_default_dataset) for e in ours for s in statements(e.sql))
    for statement, has_default in {(shape(s), has_default): (s, has_default) for s, has_default in each}.values():
        try:
            judge.analyze(statement, has_default_dataset=has_default)
            accepted += 1
        except RefusedError as error:
            refused[statement] = str(error)

    assert refused == {}
    assert accepted > 100


def test_every_call_that_sends_sql_is_reached(sent: Sequence[Sent]):
    calls = {call for call in sources.calls() if not call.is_later}
    assert sorted(map(str, calls - {each.call for each in sent})) == []


def test_what_is_sent_later_is_known():
    """Of these, that all SQL in the code is sent must be enough."""
    assert {call.path for call in sources.calls() if call.is_later} <= {"pipelines/bigquery/deploy.py"}


def test_every_piece_of_sql_in_the_code_is_sent(sent: Sequence[Sent]):
    texts = {sources.squeezed(each.sql) for each in sent if each.is_ours}

    assert [each.place for each in sources.literals() if not any(map(each.is_in, texts))] == []


def test_a_new_call_and_a_new_piece_of_sql_are_found():
    places = {each.place.partition(":")[0] for each in sources.literals()}

    assert {
        "pipelines/reprocess/replacement.py",
        "pipelines/demo/bug_story.py",
        "pipelines/run/stream.py",
    } <= places
    assert len(sources.literals()) > 60
    assert {"pipelines/reprocess/moves.py", "pipelines/dashboard/warehouse.py"} <= {
        c.path for c in sources.calls()
    }

import asyncio

import pytest
from bqemulator.domain.errors import InvalidQueryError

from pipelines.local.bigquery_statements import Table, changed_by
from pipelines.local.bigquery_turns import Turns

A, B = Table("p", "d", "a"), Table("p", "d", "b")


def test_two_transactions_do_not_change_one_table():
    turns = Turns()
    first, second = turns.begin(), turns.begin()
    turns.claim(first, [A])
    turns.claim(first, [A])
    turns.claim(second, [B])

    with pytest.raises(InvalidQueryError, match=r"due to concurrent update against table p:d\.a\. Transaction ID"):
        turns.claim(second, [A])


def test_a_table_that_was_changed_since_a_transaction_began_is_not_its_to_change():
    turns = Turns()
    first, second = turns.begin(), turns.begin()
    turns.claim(first, [A])
    turns.end(first, committed=True)

    with pytest.raises(InvalidQueryError, match="concurrent update"):
        turns.claim(second, [A])
    turns.claim(turns.begin(), [A])


def test_a_single_statement_counts_as_a_change():
    turns = Turns()
    begun = turns.begin()
    turns.changed([A])

    with pytest.raises(InvalidQueryError, match="concurrent update"):
        turns.claim(begun, [A])


def test_what_was_rolled_back_conflicts_with_nothing():
    turns = Turns()
    first, second = turns.begin(), turns.begin()
    turns.claim(first, [A])
    turns.end(first, committed=False)

    turns.claim(second, [A])


def test_a_single_statement_waits_for_a_transaction_that_changes_its_table():
    async def scenario() -> list[str]:
        turns, told = Turns(), []

        async def statement(table: Table) -> None:
            await turns.wait([table])
            told.append(table.name)

        transaction = turns.begin()
        turns.claim(transaction, [A])
        waiting = [asyncio.create_task(statement(table)) for table in (A, B)]
        for _ in range(5):
            await asyncio.sleep(0)
        told.append("end")
        turns.end(transaction, committed=True)
        await asyncio.gather(*waiting)
        return told

    assert asyncio.run(scenario()) == ["b", "end", "a"]


@pytest.mark.parametrize(
    ("sql", "changed"),
    [
        ("INSERT INTO `p.d.a` (n) SELECT n FROM `p.d.b`", []),
        ("DELETE FROM `p.d.a` WHERE n IN (SELECT n FROM `p.d.b`)", [A]),
        ("UPDATE `p.d.a` AS x SET n = 1 WHERE TRUE", [A]),
        ("MERGE `p.d.a` AS t USING `p.d.b` AS s ON t.n = s.n WHEN MATCHED THEN DELETE", [A]),
        ("TRUNCATE TABLE `p.d.a`", [A]),
        ("SELECT * FROM `p.d.a`", []),
        ("no sql at all (", []),
    ],
)
def test_what_a_statement_changes(sql: str, changed: list[Table]):
    assert list(changed_by(sql, "p")) == changed

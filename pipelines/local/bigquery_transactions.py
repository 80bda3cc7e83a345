"""Makes bqemulator's multi-statement transactions atomic, isolated, and as strict as BigQuery's.

bqemulator 1.4 runs each statement of a transaction at once and for good. To roll back it empties every
changed table and fills it again from a copy, so that a crash in between leaves half a transaction, and
whatever else was appended meanwhile is lost. Here a transaction is DuckDB's own, on a connection of its own, and
gives way to other requests after each statement: what BigQuery runs side by side runs side by side here, and
conflicts where it conflicts there.

https://cloud.google.com/bigquery/docs/transactions
"""

from collections.abc import Awaitable, Callable
from typing import Any

import duckdb
from bqemulator.domain.errors import InvalidQueryError
from bqemulator.jobs import executor
from bqemulator.scripting.exceptions import ScriptRaise
from bqemulator.scripting.interpreter import ScriptInterpreter

from pipelines.local.bigquery_engine import Engine
from pipelines.local.bigquery_partitions import few_enough
from pipelines.local.bigquery_statements import changed_by, written_by
from pipelines.local.bigquery_turns import Transaction


def apply() -> None:
    """Repair bqemulator in this process; to be called before its server is made."""
    executor.ScriptInterpreter = _Script
    executor._run_single_sql = _in_turn(executor._run_single_sql)


def _in_turn(run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return the running of a single statement that waits for the transactions that change the same table."""

    async def run_in_turn(project_id: str, bq_sql: str, parameters: Any, ctx: Any, **options: Any) -> Any:
        changed, written = changed_by(bq_sql, project_id), written_by(bq_sql, project_id)
        await ctx.engine.turns.wait(changed)
        if not written:
            return await run(project_id, bq_sql, parameters, ctx, **options)
        with ctx.engine.all_or_nothing(), few_enough(ctx, written):
            result = await run(project_id, bq_sql, parameters, ctx, **options)
        ctx.engine.turns.changed(changed)
        return result

    return run_in_turn


class _Script(ScriptInterpreter):
    """Runs a script, its transactions as DuckDB's; `_active_txn` is None outside of one."""

    _active_txn: dict[str, str] | None
    _transaction: Transaction

    async def run(self, source: str) -> Any:
        """Run a script, and tell a RAISE as a query's error."""
        try:
            return await super().run(source)
        except ScriptRaise as raised:
            # As bqemulator's own `run_script` does; unconverted it would be a server error, to be tried again.
            raise raised.error from raised

    @property
    def _engine(self) -> Engine:
        engine: Engine = self._ctx.engine
        return engine

    async def _exec_sql(self, sql: str) -> None:
        changed, written = changed_by(sql, self._project_id), written_by(sql, self._project_id)
        turns = self._engine.turns
        if self._active_txn is None:
            await turns.wait(changed)
            if written:
                with self._engine.all_or_nothing(), few_enough(self._ctx, written):
                    await super()._exec_sql(sql)
                turns.changed(changed)
            else:
                await super()._exec_sql(sql)
            return
        turns.claim(self._transaction, changed)
        with self._engine.streamed.guarding(changed, self._ctx.clock.now()), few_enough(self._ctx, written):
            await super()._exec_sql(sql)
        await self._engine.give_way()

    async def _handle_txn_statement(self, op: str) -> None:
        if op == "BEGIN" and self._active_txn is None:
            self._engine.begin()
            self._transaction = self._engine.turns.begin()
            self._active_txn = {}
        elif op == "COMMIT":
            self._end("COMMIT")
        elif op == "ROLLBACK":
            self._end("ROLLBACK")

    async def _snapshot_dml_targets(self, sql: str) -> None:
        """Keep no copies: DuckDB knows what to restore."""

    async def _drop_txn_snapshots(self) -> None:
        # Asked for at the end of a script that has not ended its transaction: BigQuery rolls that back.
        self._end("ROLLBACK")

    async def _restore_txn_snapshots(self) -> None:
        self._end("ROLLBACK")

    def _end(self, statement: str) -> None:
        if self._active_txn is None:
            return
        self._active_txn = None
        committed = False
        try:
            self._engine.end(statement)
            committed = statement == "COMMIT"
        except duckdb.TransactionException as conflict:
            # DuckDB, too, lets one of two win; BigQuery's clients know it by these words.
            raise InvalidQueryError(
                f"Transaction is aborted due to concurrent update. Transaction ID: {self._transaction.name}",
                location="query",
            ) from conflict
        finally:
            self._engine.turns.end(self._transaction, committed=committed)

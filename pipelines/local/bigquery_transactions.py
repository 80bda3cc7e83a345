"""Makes bqemulator's multi-statement transactions atomic: for readers, for appends, and for a crash.

bqemulator 1.4 runs each statement of a transaction at once and for good. To roll back it empties every
changed table and fills it again from a copy, so that a crash in between leaves half a transaction, and
whatever else was appended meanwhile is lost. Here a transaction is DuckDB's own, and a script runs to its
end before anything else does. In BigQuery both are a matter of course: transactions have snapshot isolation.

https://cloud.google.com/bigquery/docs/transactions
"""

from typing import Any

from bqemulator.jobs import executor
from bqemulator.scripting.exceptions import ScriptRaise
from bqemulator.scripting.interpreter import ScriptInterpreter


def apply() -> None:
    """Repair bqemulator in this process; to be called before its server is made."""
    executor.ScriptInterpreter = _AtomicScript


class _AtomicScript(ScriptInterpreter):
    """Runs a script in one go, its transactions as DuckDB's; `_active_txn` is None outside of one."""

    _active_txn: dict[str, str] | None

    async def run(self, source: str) -> Any:
        """Run a script without giving way to other requests, and tell a RAISE as a query's error."""
        running = super().run(source)
        try:
            running.send(None)
        except StopIteration as done:
            return done.value
        except ScriptRaise as raised:
            # As bqemulator's own `run_script` does; unconverted it would be a server error, to be tried again.
            raise raised.error from raised
        # Whoever ran now would be within the transaction, since there is one connection.
        running.throw(RuntimeError("a script waited for something: its transaction would not be isolated"))

    async def _handle_txn_statement(self, op: str) -> None:
        if op == "BEGIN" and self._active_txn is None:
            self._ctx.engine.execute("BEGIN TRANSACTION")
            self._active_txn = {}
            return
        await super()._handle_txn_statement(op)

    async def _snapshot_dml_targets(self, sql: str) -> None:
        """Keep no copies: DuckDB knows what to restore."""

    async def _drop_txn_snapshots(self) -> None:
        self._end("COMMIT")

    async def _restore_txn_snapshots(self) -> None:
        self._end("ROLLBACK")

    def _end(self, statement: str) -> None:
        if self._active_txn is not None:
            self._active_txn = None
            self._ctx.engine.execute(statement)

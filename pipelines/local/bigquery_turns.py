"""Who may change the rows of a table: one transaction at a time.

Where a transaction has changed or deleted rows of a table, other transactions that do so are cancelled, and single
statements that do so wait. Inserting conflicts with nothing. A table that was changed since a transaction began is
not what the transaction sees, so that one is cancelled, too.

https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency
https://cloud.google.com/bigquery/docs/troubleshoot-queries#transaction_aborted_due_to_concurrent_update
"""

import asyncio
import uuid
from collections.abc import Collection, Iterable

from bqemulator.domain.errors import InvalidQueryError

from pipelines.local.bigquery_statements import Table


class Transaction:
    """A transaction that is under way."""

    def __init__(self, began: int) -> None:
        self.began = began
        self.changed: set[Table] = set()
        self.name = str(uuid.uuid4())


class Turns:
    """Knows which tables are being changed, and when each was changed last."""

    def __init__(self) -> None:
        self._moment = 0
        self._changed_at: dict[Table, int] = {}
        self._changing: dict[Table, Transaction] = {}
        self._ended = asyncio.Event()

    def begin(self) -> Transaction:
        """Begin a transaction."""
        return Transaction(self._moment)

    def claim(self, transaction: Transaction, tables: Iterable[Table]) -> None:
        """Let a transaction change rows of tables.

        Raises:
            InvalidQueryError: another does so, or has done so since this one began.
        """
        for table in tables:
            holder = self._changing.get(table, transaction)
            if holder is not transaction or self._changed_at.get(table, 0) > transaction.began:
                raise InvalidQueryError(
                    f"Transaction is aborted due to concurrent update against table {table}. "
                    f"Transaction ID: {transaction.name}",
                    location="query",
                )
            self._changing[table] = transaction
            transaction.changed.add(table)

    def end(self, transaction: Transaction, *, committed: bool) -> None:
        """End a transaction."""
        for table in transaction.changed:
            del self._changing[table]
        if committed:
            self.changed(transaction.changed)
        self._ended.set()

    def changed(self, tables: Iterable[Table]) -> None:
        """Note that rows of tables have been changed."""
        self._moment += 1
        self._changed_at.update(dict.fromkeys(tables, self._moment))

    async def wait(self, tables: Collection[Table]) -> None:
        """Wait until no transaction changes the tables."""
        while any(table in self._changing for table in tables):
            self._ended.clear()
            await self._ended.wait()

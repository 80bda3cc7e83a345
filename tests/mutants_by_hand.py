"""Changes of the code that a tool does not think of: faults that once went unnoticed, and conditions of SQL.

Each is made alone in a copy of the code by `tests.mutants`, and the tests that it names have to fail.
"""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

SECONDS: Final = 300
"""What the tests of one change may take; whoever takes longer has noticed something."""

DURABLE: Final = "tests/receiver/durable"
POWER: Final = f"{DURABLE}/test_power_failure.py"
SEEN: Final = "tests/schemas/test_sightings.py"
VIEWS: Final = "tests/schemas/test_views.py"
ACTORS: Final = "tests/schemas/test_actors.py"
CAME: Final = "tests/schemas/test_acquisitions.py"
COSTS: Final = "tests/schemas/test_message_costs.py"
REPORT: Final = "tests/schemas/test_conversation_report_rules.py"
TEMPLATES: Final = "tests/schemas/test_templates.py"
PEOPLE: Final = "tests/schemas/test_people.py"
ACROSS: Final = "tests/schemas/test_people_across_sources.py"
DASHBOARD: Final = "tests/pipelines/dashboard"
PERSON: Final = f"{DASHBOARD}/test_dashboard_people_across_sources.py"
BOUNDS: Final = f"{DASHBOARD}/test_dashboard_bounds.py"
BY_HAND: Final = f"{DASHBOARD}/test_dashboard_reports_by_hand.py"
LATEST: Final = f"{DASHBOARD}/test_dashboard_latest.py"
PAGING: Final = f"{DASHBOARD}/test_dashboard_paging.py"
RESPONSES: Final = f"{DASHBOARD}/test_dashboard_response_times.py"
SHOP: Final = "tests/pipelines/dashboard/test_dashboard_waiting.py"
REPROCESS: Final = "tests/pipelines/reprocess"
RETENTION: Final = "tests/pipelines/erase/test_retention.py"
SETTLE: Final = f"{REPROCESS}/test_settle.py"


class Change(NamedTuple):
    """A small change, and the tests that have to notice it."""

    path: str
    before: str
    """Found once in the file."""
    after: str
    tests: str
    """As pytest takes them, options included."""


KNOWN: Final = (
    # Folders and files are synced.
    Change(
        "receiver/durable/segments.py",
        "path.mkdir(exist_ok=True)\n        sync_folder(path.parent)",
        "path.mkdir(exist_ok=True)",
        POWER,
    ),
    Change(
        "receiver/durable/segments.py",
        "self._write(self._take_buffer())\n            sync_folder(folder)",
        "self._write(self._take_buffer())",
        POWER,
    ),
    Change(
        "receiver/durable/segments.py",
        "path.rename(closed)\n    sync_folder(path.parent)",
        "path.rename(closed)",
        POWER,
    ),
    Change(
        "receiver/durable/segments.py",
        "file.truncate(content.end)\n            os.fsync(file.fileno())",
        "file.truncate(content.end)",
        POWER,
    ),
    Change("receiver/durable/segments.py", "os.fdatasync(descriptor)", "pass", POWER),
    Change(
        "receiver/durable/segments.py",
        "+ CORRUPT_SUFFIX))\n    sync_folder(path.parent)",
        "+ CORRUPT_SUFFIX))",
        POWER,
    ),
    Change("receiver/durable/segments.py", "file.flush()\n        os.fsync(file.fileno())", "file.flush()", POWER),
    Change(
        "receiver/durable/segments.py",
        "self._write(content)\n            sync_folder(path.parent)",
        "self._write(content)",
        POWER,
    ),
    # What is acknowledged is there.
    Change(
        "receiver/durable/uploader.py",
        "(blob.crc32c, blob.size) != (checksum, size)",
        "blob.size != size",
        f"{DURABLE}/test_unnoticed_faults.py",
    ),
    Change(
        "receiver/durable/publisher.py",
        "len(response.message_ids) != len(batch)",
        "not response.message_ids",
        f"{DURABLE}/test_unnoticed_faults.py",
    ),
    Change(
        "receiver/durable/segment_log.py",
        "self.undo()\n            self.close()\n            raise",
        "self.undo()\n            raise",
        f"{DURABLE}/test_unnoticed_faults.py",
    ),
    Change(
        "receiver/durable/spool.py",
        'glob(f"*{SUFFIX}"), key=_created)',
        'glob(f"*{SUFFIX}"))',
        f"{DURABLE}/test_unnoticed_faults.py",
    ),
    Change(
        "receiver/config.py",
        "4 * MIB, 1024, 9_000_000)",
        "4 * MIB, 1024, 9_500_000)",
        f"{DURABLE}/test_unnoticed_faults.py",
    ),
    # Nothing is lost between threads and processes.
    Change(
        "receiver/event_loop.py",
        "self._waking = False\n        while self._released:\n            settle(self._released.popleft(), True)",
        "while self._released:\n            settle(self._released.popleft(), True)\n        self._waking = False",
        "tests/receiver/test_event_loop.py",
    ),
    Change(
        "receiver/durable/outbox.py",
        "self._wake.clear()\n            drained = 0\n            try:\n                drained = self.drain()",
        "drained = 0\n            try:\n                drained = self.drain()\n"
        "                self._wake.clear()",
        f"{DURABLE}/test_outbox.py",
    ),
    Change(
        "pipelines/run/shares.py",
        "with self._taken.get_lock():\n            turn: int = self._taken.value\n"
        "            self._taken.value = turn + 1",
        "turn: int = self._taken.value\n        self._taken.value = turn + 1",
        "tests/pipelines/run/test_shares.py",
    ),
    Change(
        "pipelines/run/shares.py",
        "    threading.Thread(target=_end_with_parent, daemon=True).start()\n",
        "",
        "tests/pipelines/run/test_shares.py",
    ),
    Change(
        "pipelines/run/shares.py",
        'sys.platform != "linux" or threading.active_count() > 1',
        'sys.platform != "linux"',
        "tests/pipelines/run/test_shares.py",
    ),
    Change(
        "pipelines/run/shares.py",
        "return {(task",
        "return True or {(task",
        "tests/pipelines/run/test_shares.py",
    ),
    # What Cloud Storage and BigQuery answer who may do little, and what came to no end.
    Change(
        "receiver/replies/store.py",
        "            if self._is_listed(name):\n                raise\n            return None",
        "            raise",
        "tests/receiver/replies/test_store.py -k may_not_be_seen",
    ),
    Change(
        "schemas/archive_layout.py",
        "FileNotFoundError | NotADirectoryError | PermissionError",
        "NotADirectoryError | PermissionError",
        "tests/schemas/test_archive_layout.py",
    ),
    Change(
        "pipelines/reprocess/guards.py",
        "    if is_of_one:\n",
        "    if is_of_one and not reason:\n",
        "tests/pipelines/erase/test_erasing_beside_others.py -k taken_back",
    ),
    Change(
        "pipelines/erase/retention.py",
        "    return own[last:]\n",
        "    return own[:0]\n",
        f"{RETENTION} -k interrupted_anywhere",
    ),
    Change(
        "receiver/proofs/templates.py",
        "or bool(form(request)) or",
        "or form(request) is not None or",
        "tests/receiver/proofs/test_declared_proofs.py -k taken_apart",
    ),
    Change(
        "pipelines/replies/sender.py",
        "        gates.listen(turns.nudge_all)\n",
        "",
        "tests/pipelines/replies/test_gates.py",
    ),
    Change(
        "pipelines/run/shares.py",
        "key=lambda group: group.size, reverse=True",
        "key=lambda group: group.size",
        "tests/pipelines/run/test_shares.py -k largest",
    ),
    Change(
        "pipelines/io/archive_share.py",
        "        yield from self.taken\n",
        "        yield self.taken[0]\n",
        "tests/pipelines/io/test_archive_share.py -k again",
    ),
    Change(
        "pipelines/io/archive_share.py",
        "while sum(group.size for group in self.taken) < LARGEST_SHARE:",
        "while True:",
        "tests/pipelines/io/test_archive_share.py -k enough",
    ),
    Change(
        "pipelines/io/archive_share.py",
        "return iter(share)",
        "return iter(list(share))",
        "tests/pipelines/io/test_archive_share.py -k one_before",
    ),
    Change(
        "pipelines/io/read_pubsub.py",
        "(mark.pull, mark.batch) == (pull.id, pull.batch)",
        "mark.pull == pull.id",
        "tests/pipelines/io/test_read_pubsub.py -k cluster_has_lost",
    ),
    Change(
        "pipelines/io/read_pubsub.py",
        "is_last and self._pull.reader is self and ",
        "is_last and ",
        "tests/pipelines/io/test_read_pubsub.py -k behind_what_is_kept",
    ),
    Change(
        "pipelines/io/leases.py",
        "self._tell(name, list(ids), self._give_back)",
        "pass",
        "tests/pipelines/io/test_read_pubsub.py -k given_back",
    ),
    Change(
        "pipelines/io/leases.py",
        "            self._acknowledge(stored)",
        "            pass",
        "tests/pipelines/io/test_read_pubsub.py -k acknowledged",
    ),
    Change(
        "pipelines/io/leases.py",
        "                self._prolong()\n",
        "",
        "tests/pipelines/io/test_leases.py -k longer",
    ),
    Change(
        "pipelines/io/leases.py",
        "min(_TELLING_SECONDS, self._until - time.monotonic())",
        "_TELLING_SECONDS",
        "tests/pipelines/io/test_leases.py -k away",
    ),
    Change(
        "pipelines/io/write_parquet.py",
        "{folder}/{uuid.uuid4().hex}.tmp",
        "{folder}/{name}",
        "tests/pipelines/io/test_write_parquet.py",
    ),
    # Reprocessing, and the ledger.
    Change("pipelines/reprocess/runs.py", "if len(found) != 1:", "if not found:", f"{REPROCESS}/test_runs.py"),
    Change(
        "pipelines/reprocess/retold.py",
        "OR known.id IS NULL AND told.days > 1",
        "",
        f"{SETTLE} -k shown_in_the_first",
    ),
    Change(
        "pipelines/reprocess/retold.py",
        "FROM known WHERE {outside}",
        "FROM known WHERE FALSE",
        f"{SETTLE} -k found_holds",
    ),
    Change(
        "pipelines/reprocess/retold.py",
        '"occurred_at_from": "\'received\'"',
        '"occurred_at_from": "\'item\'"',
        f"{SETTLE} -k without_a_time",
    ),
    Change(
        "pipelines/erase/retention.py",
        "return min(done[-1].until, first) - _LATE",
        "return done[-1].until - _LATE",
        f"{RETENTION} -k left_is",
    ),
    Change("pipelines/erase/retention.py", "today.day == 1 or ", "", f"{RETENTION} -k night_reads"),
    Change("pipelines/reprocess/settle.py", "day.day == 1", "day.day == 2", f"{SETTLE} -k first_of_a_month"),
    Change(
        "pipelines/reprocess/settle.py",
        "anywhere=anywhere)",
        "anywhere=True)",
        f"{SETTLE} -k however_long",
    ),
    Change("pipelines/reprocess/settle.py", "_SUNDAY: Final = 7", "_SUNDAY: Final = 6", f"{SETTLE} -k sunday"),
    Change(
        "pipelines/reprocess/settle.py",
        "resolving.LATE if long_ago",
        "resolving.LATE if True",
        f"{SETTLE} -k however_long",
    ),
    Change(
        "pipelines/bigquery/bundle.py",
        "self._store_dead_letters(letters)\n        unlisted = self._store(LEDGER, ledger)",
        "unlisted = self._store(LEDGER, ledger)\n        self._store_dead_letters(letters)",
        "tests/pipelines/bigquery/test_bundle.py",
    ),
    Change(
        "pipelines/reprocess/guards.py",
        "if other is None or change is None:\n            yield",
        "if other is None or change is None:\n            continue\n            yield",
        f"{REPROCESS}/test_apply.py -k stands",
    ),
    Change(
        "pipelines/reprocess/reconcile.py",
        '(SELECT DISTINCT event_id, source, received_at, "  # noqa: S608\n        f"TO_JSON_STRING',
        '(SELECT event_id, source, received_at, "  # noqa: S608\n        f"TO_JSON_STRING',
        f"{REPROCESS}/test_reconcile.py",
    ),
    Change(
        "pipelines/reprocess/reconcile.py",
        "`{where.view('counted_events')}`",
        "`{where.table('events')}`",
        f"{REPROCESS}/test_reconcile.py",
    ),
    Change(
        "pipelines/reprocess/reconcile.py",
        "({counted(where, table, chosen)})) AS told)",
        "(SELECT * FROM `{where.table(table)}` AS stored WHERE {chosen})) AS told)",
        f"{REPROCESS}/test_reconcile.py",
    ),
    # Identity and time.
    Change("pipelines/core/ids.py", "else len(part.encode())}:", "else len(part)}:", "tests/pipelines/core"),
    Change("pipelines/core/times.py", "(10**14, 1_000, 1)", "(10**12, 1_000, 1)", "tests/pipelines/core"),
    Change("pipelines/core/times.py", "(10**17, 1, 1)", "(10**18, 1, 1)", "tests/pipelines/core"),
    Change("pipelines/core/times.py", "<= _PARTITION_AFTER", "< _PARTITION_AFTER", "tests/pipelines/core"),
    Change("pipelines/core/times.py", "-_PARTITION_BEFORE <=", "-_PARTITION_BEFORE <", "tests/pipelines/core"),
    # Security.
    Change(
        "receiver/proofs/signatures.py",
        "found |= hmac.compare_digest(given_bytes, text.encode())",
        "found |= given_bytes == text.encode()",
        "tests/receiver/proofs",
    ),
    Change(
        "receiver/proofs/signatures.py",
        "found |= hmac.compare_digest(given_bytes, text.encode())",
        "found = found or hmac.compare_digest(given_bytes, text.encode())",
        "tests/receiver/proofs",
    ),
    Change(
        "receiver/chatplugin/tokens.py",
        "LEEWAY_SECONDS: Final = 30",
        "LEEWAY_SECONDS: Final = 3600",
        "tests/receiver/chatplugin/test_tokens.py",
    ),
    Change(
        "pipelines/dashboard/warehouse.py",
        "            maximum_bytes_billed=self._max_bytes,\n",
        "",
        "tests/pipelines/dashboard/test_dashboard_bytes.py -k limit",
    ),
)
"""What 74 faults, made by hand, had shown to go unnoticed."""

STATES: Final = "state IN ('failed', 'undelivered', 'canceled')"
SQL: Final = (
    # Which rows count.
    Change(
        "schemas/loader.py",
        "stored.generation = MAX(stored.generation)",
        "stored.generation = MIN(stored.generation)",
        f"{VIEWS} -k generation",
    ),
    Change(
        "schemas/loader.py",
        "stored.generation = MAX(stored.generation)",
        "stored.generation <= MAX(stored.generation)",
        f"{VIEWS} -k generation",
    ),
    Change(
        "schemas/loader.py",
        "stored.placed_at >= entry.placed_before",
        "stored.placed_at > entry.placed_before",
        f"{REPROCESS}/test_apply.py -k restores",
    ),
    Change(
        "schemas/loader.py",
        "stored.processed_at >= entry.before OR",
        "stored.processed_at >= entry.before AND",
        f"{REPROCESS}/test_apply.py -k 'meanwhile or survives'",
    ),
    Change(
        "schemas/views/superseded.sql", "decided_at DESC", "decided_at", f"{REPROCESS}/test_apply.py -k restores"
    ),
    Change("schemas/views/retold.sql", "decided_at DESC", "decided_at", f"{VIEWS} -k last_decision"),
    Change(
        "schemas/views/retold.sql",
        "WHERE shown_date IS NOT NULL",
        "WHERE TRUE",
        f"{VIEWS} -k last_decision",
    ),
    # Messages and facts.
    Change(
        "schemas/views/messages_as_told.sql",
        "telling.received_at,\n      telling.event_id",
        "telling.received_at DESC,\n      telling.event_id",
        f"{VIEWS} -k TestMessages",
    ),
    Change(
        "schemas/views/messages_as_told.sql",
        "telling.pointer,\n      telling.processed_at",
        "telling.pointer DESC,\n      telling.processed_at",
        f"{VIEWS} -k TestMessages",
    ),
    Change(
        "schemas/views/messages_as_told.sql",
        "'unsupported' IN UNNEST(telling.flags), 1, 0)",
        "'unsupported' IN UNNEST(telling.flags), 0, 1)",
        f"{VIEWS} -k placeholder",
    ),
    Change(
        "schemas/views/messages_as_told.sql",
        "WHERE retold.id IS NULL OR telling.sent_date = retold.shown_date",
        "WHERE TRUE",
        f"{VIEWS} -k settled_on",
    ),
    Change(
        "schemas/views/metadata_as_told.sql",
        "'source.referral'),\n        telling.received_at",
        "'source.referral') AND FALSE,\n        telling.received_at",
        f"{VIEWS} -k TestMetadata",
    ),
    Change(
        "schemas/views/metadata_as_told.sql",
        "        telling.occurred_at_from = 'received'\n        AND telling.key NOT IN",
        "        telling.key NOT IN",
        f"{VIEWS} -k TestMetadata",
    ),
    Change(
        "schemas/views/metadata_as_told.sql",
        "  OR telling.occurred_date = retold.shown_date",
        "  OR TRUE",
        f"{VIEWS} -k was_settled",
    ),
    Change(
        "schemas/views/metadata_as_told.sql",
        "    AND telling.key NOT IN ('source.delivery_state', 'source.error', 'source.referral')\n    AND",
        "    AND",
        f"{VIEWS} -k was_settled",
    ),
    Change(
        "schemas/views/metadata_as_told.sql",
        "telling.occurred_date > retold.shown_date",
        "FALSE",
        f"{VIEWS} -k was_settled",
    ),
    Change(
        "schemas/views/metadata_as_told.sql",
        "NOT IN ('source.delivery_state', 'source.error', 'source.referral'),\n        tell",
        "NOT IN ('source.error', 'source.referral'),\n        tell",
        f"{VIEWS} -k first_told",
    ),
    # How far a message came.
    Change(
        "schemas/views/delivery_states.sql",
        "('accepted', 'pending', 'scheduled') THEN '1'",
        "('accepted', 'pending', 'scheduled') THEN '9'",
        f"{VIEWS} -k TestDeliveries",
    ),
    Change(
        "schemas/views/delivery_states.sql",
        "'sending' THEN '3'",
        "'sending' THEN '5'",
        f"{VIEWS} -k TestDeliveries",
    ),
    Change(
        "schemas/views/delivery_states.sql",
        "'canceled') THEN '5'",
        "'canceled') THEN '3'",
        f"{VIEWS} -k TestDeliveries",
    ),
    Change(
        "schemas/views/delivery_states.sql",
        "('read', 'seen') THEN '7'",
        "('read', 'seen') THEN '5'",
        f"{VIEWS} -k TestDeliveries",
    ),
    Change(
        "schemas/views/delivery_states.sql",
        "MIN(IF(rank = '6'",
        "MAX(IF(rank = '6'",
        f"{VIEWS} -k first_of_its_receipts",
    ),
    Change(
        "schemas/views/delivery_states.sql", "rank IN ('7', '8')", "rank IN ('8')", f"{VIEWS} -k TestDeliveries"
    ),
    Change(
        "schemas/views/messages_by_receipt.sql",
        "COALESCE(states.sent_at, states.first_told_at)",
        "states.first_told_at",
        f"{VIEWS} -k only_receipts",
    ),
    Change(
        "schemas/views/messages_by_receipt.sql",
        "message.message_id IS NULL",
        "TRUE",
        f"{VIEWS} -k 'TestDeliveries or TestConversations'",
    ),
    # As it stands now.
    Change(
        "schemas/views/messages_current.sql",
        "message.sent_at <= delivered.up_to",
        "message.sent_at < delivered.up_to",
        f"{VIEWS} -k watermark",
    ),
    Change(
        "schemas/views/messages_current.sql",
        "message.sent_at <= seen.up_to",
        "message.sent_at < seen.up_to",
        f"{VIEWS} -k watermark",
    ),
    Change(
        "schemas/views/messages_current.sql",
        "message.sent_at > seen.since",
        "message.sent_at >= seen.since",
        f"{VIEWS} -k watermark",
    ),
    Change(
        "schemas/views/messages_current.sql",
        "message.sent_at > delivered.since",
        "message.sent_at >= delivered.since",
        f"{VIEWS} -k cover_again",
    ),
    Change(
        "schemas/views/messages_current.sql",
        "AND value != ''\n    QUALIFY",
        "QUALIFY",
        f"{VIEWS} -k TestCurrentMessages",
    ),
    Change(
        "schemas/views/messages_current.sql",
        "ORDER BY occurred_at DESC, received_at DESC, event_id DESC",
        "ORDER BY occurred_at, received_at, event_id DESC",
        f"{VIEWS} -k TestCurrentMessages",
    ),
    Change(
        "schemas/views/messages_current.sql",
        " LENGTH(pointer) DESC,",
        "",
        f"{VIEWS} -k TestCurrentMessages",
    ),
    Change(
        "schemas/views/messages_current.sql", "WHERE emoji != ''", "WHERE TRUE", f"{VIEWS} -k TestCurrentMessages"
    ),
    Change(
        "schemas/views/messages_current.sql",
        "told.occurred_at DESC,\n          told.received_at DESC",
        "told.occurred_at,\n          told.received_at",
        f"{VIEWS} -k TestCurrentMessages",
    ),
    Change(
        "schemas/views/messages_current.sql",
        "IF(message.direction = 'outbound', seen.covered_at, NULL)",
        "seen.covered_at",
        f"{VIEWS} -k what_the_contact_sent",
    ),
    Change(
        "schemas/views/messages_current.sql",
        "IF(message.direction = 'outbound', delivered.covered_at, NULL)",
        "delivered.covered_at",
        f"{VIEWS} -k what_the_contact_sent",
    ),
    # Who waits.
    Change(
        "schemas/views/conversations.sql",
        "OR sent_at > last_answer_at",
        "OR sent_at >= last_answer_at",
        f"{VIEWS} -k TestConversations",
    ),
    Change(
        "schemas/views/conversations.sql",
        "sent_at >= first_inbound_at",
        "sent_at > first_inbound_at",
        f"{VIEWS} -k TestConversations",
    ),
    Change(
        "schemas/views/conversations.sql",
        "= 'outbound' AND failed.message_id IS NULL AS",
        "= 'outbound' AS",
        f"{VIEWS} -k TestConversations",
    ),
    Change(
        "schemas/views/conversations.sql",
        f"    WHERE {STATES.replace('IN', 'NOT IN')}\n  ),\n  placed",
        "  ),\n  placed",
        f"{VIEWS} -k TestConversations",
    ),
    Change(
        "schemas/views/conversations.sql",
        "PARTITION BY message_id ORDER BY sent_date) = 1",
        "PARTITION BY message_id ORDER BY sent_date DESC) = 1",
        f"{VIEWS} -k TestConversations",
    ),
    Change(
        "schemas/views/response_times.sql",
        "ORDER BY sent_at, direction, message_id",
        "ORDER BY sent_at, direction DESC, message_id",
        f"{VIEWS} -k TestConversations",
    ),
    Change(
        "schemas/views/response_times.sql",
        "told.direction = 'inbound' OR failed.message_id IS NULL",
        "TRUE",
        f"{VIEWS} -k TestConversations",
    ),
    Change(
        "schemas/views/response_times.sql",
        "answers_before = 0 AS",
        "answers_before <= 1 AS",
        f"{VIEWS} -k each_turn",
    ),
    # From the current row on is the same: turns begin with what the contact sent, which is no answer.
    Change(
        "schemas/views/response_times.sql",
        "BETWEEN 1 FOLLOWING AND",
        "BETWEEN UNBOUNDED PRECEDING AND",
        f"{VIEWS} -k each_turn",
    ),
    # Sightings, whichever row tells them.
    Change(
        "schemas/views/seen_channels.sql",
        "FROM `${rows}.messages`\nWHERE source_channel_id",
        "FROM `${rows}.messages`\nWHERE channel_display_name",
        SEEN,
    ),
    Change(
        "schemas/views/seen_channels.sql",
        "FROM `${rows}.metadata`\nWHERE source_channel_id",
        "FROM `${rows}.metadata`\nWHERE channel_display_name",
        SEEN,
    ),
    Change(
        "schemas/views/seen_contacts.sql",
        "FROM `${rows}.messages`\nWHERE\n  source_contact_id",
        "FROM `${rows}.messages`\nWHERE\n  contact_display_name",
        SEEN,
    ),
    Change(
        "schemas/views/seen_contacts.sql",
        "FROM `${rows}.metadata`\nWHERE\n  source_contact_id",
        "FROM `${rows}.metadata`\nWHERE\n  contact_display_name",
        SEEN,
    ),
    Change(
        "schemas/views/seen_conversations.sql",
        "FROM `${rows}.messages`\nWHERE\n  source_contact_id IS NOT NULL",
        "FROM `${rows}.messages`\nWHERE\n  source_contact_id IS NULL",
        SEEN,
    ),
    Change(
        "schemas/views/seen_conversations.sql",
        "conversation_id IS NOT NULL\n  AND (source_conversation_id IS NULL OR source_conversation_id != '')",
        "conversation_id IS NOT NULL",
        f"{SEEN} -k group",
    ),
    # Contacts, channels, days.
    Change(
        "schemas/views/contacts.sql",
        "seen_at DESC, event_id DESC",
        "seen_at, event_id",
        f"{VIEWS} -k TestContacts",
    ),
    Change(
        "schemas/views/contacts.sql",
        "COUNT(DISTINCT message_id) AS",
        "COUNT(message_id) AS",
        f"{VIEWS} -k 'TestMessages or TestContacts'",
    ),
    Change(
        "schemas/views/contacts.sql",
        "`${views}.counted_contacts`",
        "`${rows}.contacts`",
        SEEN,
    ),
    Change(
        "schemas/views/channels.sql",
        "seen_at DESC, event_id DESC",
        "seen_at, event_id",
        f"{VIEWS} -k latest_name_that_was_told",
    ),
    Change(
        "schemas/views/channels.sql",
        "COUNT(DISTINCT message_id) AS",
        "COUNT(message_id) AS",
        f"{VIEWS} -k 'TestMessages or TestContacts'",
    ),
    Change(
        "schemas/views/delivery_funnel.sql", "WHERE direction = 'outbound'", "WHERE TRUE", f"{VIEWS} -k funnel"
    ),
    Change(
        "schemas/views/delivery_funnel.sql",
        "state IN ('delivered', 'read', 'seen', 'played') AS is_delivered",
        "state IN ('delivered') AS is_delivered",
        f"{VIEWS} -k funnel",
    ),
    Change(
        "schemas/views/daily_activity.sql",
        "COUNTIF(direction = 'inbound')",
        "COUNTIF(direction != 'inbound')",
        f"{VIEWS} -k activity",
    ),
    Change(
        "schemas/views/data_quality.sql",
        "IF(body_bytes = 0, event_id, body_sha256)",
        "body_sha256",
        f"{VIEWS} -k TestQuality",
    ),
    Change(
        "schemas/views/data_quality.sql", "source_delay > 3600", "source_delay > 36000", f"{VIEWS} -k TestQuality"
    ),
    Change(
        "schemas/views/data_quality.sql",
        "COUNT(DISTINCT ignored_reason)",
        "COUNT(ignored_reason)",
        f"{VIEWS} -k TestQuality",
    ),
    Change("schemas/views/dead_letters.sql", ") = 1", ") >= 1", f"{VIEWS} -k TestQuality"),
    Change("schemas/views/events.sql", ") = 1", ") >= 1", f"{VIEWS} -k TestQuality"),
    Change("schemas/views/runs.sql", "state_at DESC", "state_at", f"{VIEWS} -k latest_state"),
    Change("schemas/views/erasures.sql", "state_at DESC", "state_at", f"{VIEWS} -k erasure"),
    Change(
        "schemas/views/identities.sql", "decisions.decision_id IS NULL", "TRUE", "tests/schemas/test_people.py"
    ),
    Change(
        "schemas/views/identities.sql",
        "named.numbers <= 1 AND",
        "named.numbers <= 2 AND",
        "tests/schemas/test_people.py -k user_name",
    ),
    # Who answered, to whom conversations passed, what contacts thought of it.
    Change(
        "schemas/views/actor_names.sql",
        "'1217981644879628', 'human'",
        "'1217981644879628', 'bot'",
        f"{ACTORS} -k echo",
    ),
    Change(
        "schemas/views/actors.sql",
        "ORDER BY IF(names.source IS NULL, 1, 0)",
        "ORDER BY IF(names.source IS NULL, 0, 1)",
        f"{ACTORS} -k echo",
    ),
    Change(
        "schemas/views/actors.sql",
        "held.handed_at <= told.sent_at",
        "held.handed_at < told.sent_at",
        f"{ACTORS} -k whoever_has",
    ),
    Change(
        "schemas/views/handovers.sql",
        "key != 'source.live_agent_requested' OR value = 'true'",
        "TRUE",
        f"{ACTORS} -k asks_for_no_person",
    ),
    Change(
        "schemas/views/handovers.sql",
        "ORDER BY IF(names.source IS NULL, 1, 0)",
        "ORDER BY IF(names.source IS NULL, 0, 1)",
        f"{ACTORS} -k name_of_the_source",
    ),
    Change(
        "schemas/views/ratings.sql",
        "(points - lowest) / (highest - lowest)",
        "(points - lowest) / highest",
        f"{ACTORS} -k one_scale",
    ),
    Change(
        "schemas/views/ratings.sql",
        "IF(points BETWEEN lowest AND highest, points, NULL)",
        "points",
        f"{ACTORS} -k one_scale",
    ),
    Change(
        "schemas/views/replies.sql",
        "ORDER BY rank DESC, occurred_at DESC,",
        "ORDER BY occurred_at DESC, rank DESC,",
        "tests/schemas/test_reply_states.py -k any_order",
    ),
    Change(
        "schemas/views/replies.sql",
        "IN ('posted', 'not_sent'), 'pending'",
        "IN ('posted'), 'pending'",
        "tests/schemas/test_reply_states.py -k any_order",
    ),
    # Sessions, and what a report asks of them.
    Change(
        "schemas/views/sessions.sql",
        "sent_at >= TIMESTAMP_ADD(previous_at",
        "sent_at > TIMESTAMP_ADD(previous_at",
        "tests/schemas/test_sessions.py -k silence",
    ),
    Change(
        "schemas/views/sessions.sql",
        "sent_at > window_until",
        "sent_at >= window_until",
        "tests/schemas/test_sessions.py -k window_of_whatsapp",
    ),
    Change(
        "schemas/views/conversation_report.sql",
        "answers.actor_kind = 'human' AND answers.may_answer AND",
        "answers.actor_kind = 'human' AND",
        f"{REPORT} -k first_response",
    ),
    Change(
        "schemas/views/conversation_report.sql",
        "IF(begun_by = 'inbound', started_at, NULL)",
        "started_at",
        f"{REPORT} -k begin_ourselves",
    ),
    Change(
        "schemas/views/conversation_report.sql",
        "SUM(IF(costs.is_charged, costs.cost_micros, NULL))",
        "SUM(costs.cost_micros)",
        f"{COSTS} -k what_a_session_costs",
    ),
    # Money: what came by advertisements, what messages cost, what templates brought.
    Change(
        "schemas/views/acquisitions.sql",
        "exchanged.sent_at < bounded.until_at",
        "exchanged.sent_at <= bounded.until_at",
        f"{CAME} -k what_follows",
    ),
    Change(
        "schemas/views/acquisitions.sql",
        "ORDER BY known_by.occurred_at DESC",
        "ORDER BY known_by.occurred_at",
        f"{CAME} -k conversion",
    ),
    Change("schemas/views/conversion_exports.sql", "LPAD(", "RPAD(", f"{CAME} -k conversion"),
    Change("schemas/views/conversion_exports.sql", "came.conversions > 0", "TRUE", f"{CAME} -k conversion"),
    Change(
        "schemas/views/message_costs.sql",
        "rates.valid_until >= numbered",
        "rates.valid_until > numbered",
        f"{COSTS} -k most_exact",
    ),
    Change(
        "schemas/views/message_costs.sql", "THEN reached = 3", "THEN reached IN (1, 3)", f"{COSTS} -k not_billable"
    ),
    Change(
        "schemas/views/message_costs.sql",
        "PARTITION BY numbered.message_id, numbered.participant",
        "PARTITION BY numbered.message_id",
        f"{COSTS} -k to_a_group",
    ),
    Change(
        "schemas/views/message_costs.sql",
        "MAX(is_charged AND cost_micros IS NULL) OVER whole OR ",
        "",
        f"{COSTS} -k to_a_group",
    ),
    # It has no condition: its columns are what can be confused.
    Change(
        "schemas/views/rates.sql",
        "valid_from,\n  valid_until",
        "valid_until AS valid_from,\n  valid_from AS valid_until",
        f"{COSTS} -k most_exact",
    ),
    Change(
        "schemas/views/template_messages.sql",
        "answers.answered_at <= TIMESTAMP_ADD",
        "answers.answered_at < TIMESTAMP_ADD",
        f"{TEMPLATES} -k as_far_as_it_came",
    ),
    Change(
        "schemas/views/template_messages.sql",
        "MIN(sent_at) AS tapped_at",
        "MAX(sent_at) AS tapped_at",
        f"{TEMPLATES} -k as_far_as_it_came",
    ),
    Change(
        "schemas/views/templates.sql",
        "spoken, kind ORDER BY occurred_at DESC, received_at DESC",
        "spoken, kind ORDER BY occurred_at, received_at",
        f"{TEMPLATES} -k latest_change",
    ),
    Change(
        "schemas/views/templates.sql",
        "state IN ('delivered', 'read', 'seen', 'played')) AS delivered",
        "state IN ('delivered')) AS delivered",
        f"{TEMPLATES} -k as_far_as_it_came",
    ),
    # What was said, and by whom: of all ids of a person, and across sources.
    Change(
        "schemas/views/message_texts.sql",
        "ORDER BY list, position",
        "ORDER BY list, position DESC",
        "tests/schemas/test_message_texts.py -k in_their_order",
    ),
    Change(
        "schemas/views/message_texts.sql",
        "JSON_QUERY(json, '$$.message.quick_reply') IS NOT NULL",
        "TRUE",
        "tests/schemas/test_message_texts.py -k choice",
    ),
    Change(
        "schemas/views/messages.sql",
        "  contact_id,\n  channel_id",
        "  told_contact_id AS contact_id,\n  channel_id",
        f"{PEOPLE} -k number_and_a_user_id",
    ),
    Change(
        "schemas/views/metadata.sql",
        "told_conversation_id THEN conversation_id",
        "told_conversation_id THEN subject_id",
        f"{PEOPLE} -k metadata",
    ),
    Change(
        "schemas/views/aliases.sql",
        "COUNT(DISTINCT event_id) OVER pair",
        "COUNT(event_id) OVER pair",
        f"{PEOPLE} -k alias_twice",
    ),
    Change(
        "schemas/views/aliases.sql",
        "IF(is_number, NULL, contact_id)) OVER (PARTITION BY kind, other_contact_id) > 1",
        "IF(is_number, NULL, contact_id)) OVER (PARTITION BY kind, other_contact_id) > 2",
        f"{PEOPLE} -k two_have_had",
    ),
    Change(
        "schemas/views/alias_decisions.sql",
        "ORDER BY decided_at DESC",
        "ORDER BY decided_at",
        f"{PEOPLE} -k taken_out",
    ),
    Change(
        "schemas/views/alias_decisions.sql",
        "decision != 'withdrawn'",
        "TRUE",
        f"{ACROSS} -k many_share",
    ),
    Change("schemas/views/person_links.sql", "sharers > 5", "sharers > 6", f"{ACROSS} -k many_share"),
    Change("schemas/views/person_links.sql", "sharers > 5", "sharers >= 5", f"{ACROSS} -k five_contacts"),
    Change(
        "schemas/views/person_links.sql",
        "ORDER BY occurred_at DESC, received_at DESC",
        "ORDER BY occurred_at, received_at",
        f"{ACROSS} -k last_telling",
    ),
    Change("schemas/views/people.sql", "WHERE void_because IS NULL", "WHERE TRUE", f"{ACROSS} -k many_share"),
    Change(
        "schemas/views/people.sql",
        "ORDER BY last_seen_at DESC, contact_id",
        "ORDER BY last_seen_at, contact_id",
        f"{ACROSS} -k told_last",
    ),
    # Questions of the dashboard.
    Change("pipelines/dashboard/sql/exchanged.part.sql", "COALESCE(states.rank, 0) != 5", "TRUE", SHOP),
    Change("pipelines/dashboard/sql/exchanged.part.sql", "WHERE rank != 5", "WHERE TRUE", SHOP),
    Change("pipelines/dashboard/sql/exchanged.part.sql", "states.first_rank != 7", "TRUE", SHOP),
    Change(
        "pipelines/dashboard/sql/people.part.sql",
        "AND decisions.decision_id IS NULL",
        "AND TRUE",
        "tests/pipelines/dashboard/test_dashboard_people.py -k taken_out",
    ),
    Change(
        "pipelines/dashboard/sql/people.part.sql",
        "PARTITION BY resolved_contact_id, channel_id",
        "PARTITION BY contact_id, channel_id",
        "tests/pipelines/dashboard/test_dashboard_people.py -k today",
    ),
    Change(
        "schemas/views/resolved_contacts.sql",
        "decided_at DESC",
        "decided_at",
        "tests/pipelines/dashboard/test_dashboard_people.py -k taken_out",
    ),
    Change(
        "pipelines/dashboard/sql/exchanged.part.sql",
        "sent_at, NULL))\n        > MAX",
        "sent_at, NULL))\n        >= MAX",
        SHOP,
    ),
    Change(
        "pipelines/dashboard/sql/exchanged.part.sql",
        "WHEN fact.value = 'sent' THEN 4",
        "WHEN fact.value = 'sent' THEN 6",
        "tests/pipelines/dashboard/test_dashboard_questions.py",
    ),
    Change(
        "pipelines/dashboard/sql/turns.part.sql",
        "ORDER BY sent_at, direction, message_id",
        "ORDER BY sent_at, direction DESC, message_id",
        f"{SHOP} -k very_time",
    ),
    Change(
        "pipelines/dashboard/sql/outbound.part.sql",
        "watermarks.read_up_to >= told.sent_at",
        "watermarks.read_up_to > told.sent_at",
        "tests/pipelines/dashboard/test_dashboard_questions.py -k watermark",
    ),
    Change(
        "pipelines/dashboard/sql/outbound.part.sql",
        "watermarks.delivered_up_to >= told.sent_at",
        "watermarks.delivered_up_to > told.sent_at",
        "tests/pipelines/dashboard/test_dashboard_questions.py -k watermark",
    ),
    Change(
        "pipelines/dashboard/sql/conversations.sql",
        "talks.conversation_id > @after_id)",
        "FALSE)",
        "tests/pipelines/dashboard/test_dashboard_paging.py",
    ),
    Change(
        "pipelines/dashboard/sql/conversations.sql",
        "talks.conversation_id > @after_id)",
        "talks.conversation_id >= @after_id)",
        "tests/pipelines/dashboard/test_dashboard_paging.py",
    ),
    Change(
        "pipelines/dashboard/sql/message_keys.sql",
        "message_id < @before_id)",
        "FALSE)",
        "tests/pipelines/dashboard/test_dashboard_paging.py",
    ),
    Change(
        "pipelines/dashboard/sql/message_keys.sql",
        "message_id < @before_id)",
        "message_id <= @before_id)",
        "tests/pipelines/dashboard/test_dashboard_paging.py",
    ),
    Change(
        "pipelines/dashboard/sql/dead_letters.sql",
        "received_at = @before AND CONCAT(",
        "FALSE AND CONCAT(",
        "tests/pipelines/dashboard/test_dashboard_paging.py",
    ),
    Change(
        "pipelines/dashboard/sql/dead_letters.sql",
        ") > @after_id))",
        ") >= @after_id))",
        "tests/pipelines/dashboard/test_dashboard_paging.py",
    ),
    # At least one of each: its period, its page or order, and which of several it counts or shows.
    Change(
        "pipelines/dashboard/sql/overview.sql",
        "WHERE sent_date BETWEEN @first_day AND @last_day",
        "WHERE sent_date >= @first_day",
        f"{BOUNDS} -k overview",
    ),
    Change(
        "pipelines/dashboard/sql/overview.sql",
        "COUNT(DISTINCT waits.conversation_id)",
        "COUNT(waits.conversation_id)",
        f"{SHOP} -k failed_is_none",
    ),
    Change(
        "pipelines/dashboard/sql/activity.sql",
        "WHERE sent_date BETWEEN @first_day AND @last_day",
        "WHERE sent_date <= @last_day",
        f"{BOUNDS} -k activity",
    ),
    Change(
        "pipelines/dashboard/sql/overview.sql",
        "COUNTIF(rank IN (6, 7)) AS delivered",
        "COUNTIF(rank IN (6)) AS delivered",
        "tests/pipelines/dashboard/test_dashboard_questions.py -k watermark",
    ),
    Change("pipelines/dashboard/sql/overview.sql", "seconds < 60)", "seconds <= 60)", f"{RESPONSES} -k exactly"),
    Change(
        "pipelines/dashboard/sql/overview.sql",
        "COUNTIF(seconds >= 86400)",
        "COUNTIF(seconds > 86400)",
        f"{RESPONSES} -k exactly",
    ),
    Change(
        "pipelines/dashboard/sql/response_groups.sql",
        "DATE(turns.sent_at, @zone)",
        "DATE(turns.sent_at, 'UTC')",
        f"{RESPONSES} -k over_night",
    ),
    Change(
        "pipelines/dashboard/sql/response_groups.sql",
        "DIV(MOD(answered, 604800), 86400) + 1, 1) = '1'",
        "DIV(MOD(answered, 604800), 86400) + 1, 1) = '0'",
        f"{RESPONSES} -k over_night",
    ),
    Change(
        "pipelines/dashboard/sql/turn_list.sql",
        "turns.seconds < @less_than",
        "turns.seconds <= @less_than",
        f"{RESPONSES} -k exactly",
    ),
    Change(
        "pipelines/dashboard/sql/turn_list.sql",
        "turns.sent_at = @before AND",
        "FALSE AND",
        f"{PAGING} -k turn_list",
    ),
    Change(
        "pipelines/dashboard/sql/message_list.sql",
        "sent_at = @before AND",
        "FALSE AND",
        f"{PAGING} -k message_list",
    ),
    Change(
        "pipelines/dashboard/sql/message_list.sql",
        "sent_date BETWEEN @first_day AND @last_day",
        "sent_date >= @first_day",
        f"{BOUNDS} -k message_list",
    ),
    Change(
        "pipelines/dashboard/sql/sent_list.sql", "sent_at = @before AND", "FALSE AND", f"{PAGING} -k sent_list"
    ),
    Change("pipelines/dashboard/sql/search.sql", "sent_at = @before AND", "FALSE AND", f"{PAGING} -k search"),
    Change(
        "pipelines/dashboard/sql/search.sql",
        "LOWER(COALESCE(text, ''))",
        "COALESCE(text, '')",
        f"{BOUNDS} -k search",
    ),
    Change(
        "pipelines/dashboard/sql/people_list.sql",
        "last_seen_at = @before AND",
        "FALSE AND",
        f"{PAGING} -k people_list",
    ),
    Change(
        "pipelines/dashboard/sql/people_list.sql",
        "WHERE message.sent_date BETWEEN @first_day AND @last_day",
        "WHERE message.sent_date <= @last_day",
        f"{BOUNDS} -k people_list",
    ),
    Change(
        "pipelines/dashboard/sql/person.sql",
        "told_contact_id = @contact_id OR contact_id",
        "contact_id",
        f"{LATEST} -k any_id",
    ),
    Change(
        "pipelines/dashboard/sql/person_days.sql",
        "IF(day > @last_day",
        "IF(day >= @last_day",
        f"{BOUNDS} -k nearest",
    ),
    Change(
        "pipelines/dashboard/sql/person_talks.sql",
        "WHERE sent_date BETWEEN @first_day AND @last_day",
        "WHERE sent_date <= @last_day",
        f"{BOUNDS} -k talks",
    ),
    Change(
        "pipelines/dashboard/sql/person_talks.sql", "last_message_at DESC", "last_message_at", f"{BOUNDS} -k talks"
    ),
    Change(
        "pipelines/dashboard/sql/across.part.sql",
        "COUNT(DISTINCT contact_id) > 5",
        "COUNT(DISTINCT contact_id) > 6",
        f"{PERSON} -k many_have_had",
    ),
    Change(
        "pipelines/dashboard/sql/across.part.sql",
        "ORDER BY occurred_at DESC, received_at DESC",
        "ORDER BY occurred_at, received_at",
        f"{PERSON} -k takes_it_back",
    ),
    Change(
        "pipelines/dashboard/sql/same_conversation.sql",
        "WHERE same.conversation_id = @conversation_id",
        "WHERE TRUE",
        f"{LATEST} -k any_id",
    ),
    Change(
        "pipelines/dashboard/sql/sighting.sql",
        "seen_at DESC, event_id DESC",
        "seen_at, event_id",
        f"{LATEST} -k with_whom",
    ),
    Change(
        "pipelines/dashboard/sql/spoken.sql",
        "MAX(IF(day < @first_day",
        "MIN(IF(day < @first_day",
        f"{BOUNDS} -k nearest",
    ),
    Change(
        "pipelines/dashboard/sql/texts.sql",
        "ORDER BY sent_at, message_id",
        "ORDER BY message_id",
        f"{LATEST} -k texts",
    ),
    Change(
        "pipelines/dashboard/sql/metadata.sql",
        "DATE_ADD(@last_day, INTERVAL 7 DAY)",
        "DATE_ADD(@last_day, INTERVAL 6 DAY)",
        f"{BOUNDS} -k becomes_of",
    ),
    Change(
        "pipelines/dashboard/sql/metadata.sql",
        "ORDER BY\n  entries.occurred_at,",
        "ORDER BY\n  entries.occurred_at DESC,",
        f"{BOUNDS} -k becomes_of",
    ),
    Change(
        "pipelines/dashboard/sql/answers.sql",
        "DATE_SUB(@last_day, INTERVAL 1 DAY)",
        "@last_day",
        f"{BOUNDS} -k replies",
    ),
    Change("pipelines/dashboard/sql/asked.sql", "AND direction = 'inbound'", "AND TRUE", f"{LATEST} -k window"),
    Change("pipelines/dashboard/sql/channel.sql", "seen_at DESC", "seen_at", f"{LATEST} -k channel"),
    Change("pipelines/dashboard/sql/channel.sql", "event_id DESC", "event_id", f"{LATEST} -k names_of_one_time"),
    Change("pipelines/dashboard/sql/contacts.sql", "seen_at DESC", "seen_at", f"{LATEST} -k a_contact"),
    Change("pipelines/dashboard/sql/contacts.sql", "event_id DESC", "event_id", f"{LATEST} -k names_of_one_time"),
    Change("pipelines/dashboard/sql/event.sql", "AND event_id = @event_id", "AND TRUE", f"{LATEST} -k its_own"),
    Change(
        "pipelines/dashboard/sql/items.sql", "AND event_id = @event_id\nUNION", "\nUNION", f"{LATEST} -k its_own"
    ),
    Change(
        "pipelines/dashboard/sql/items.sql", "ORDER BY pointer,", "ORDER BY pointer DESC,", f"{LATEST} -k its_own"
    ),
    Change(
        "pipelines/dashboard/sql/item_days.sql",
        "WHERE sent_date BETWEEN @first_day AND @last_day",
        "WHERE sent_date <= @last_day",
        f"{BOUNDS} -k several_days",
    ),
    Change(
        "pipelines/dashboard/sql/event_list.sql", "AND received_at < @until", "AND TRUE", f"{BOUNDS} -k event_list"
    ),
    Change(
        "pipelines/dashboard/sql/event_list.sql",
        "received_at = @before AND",
        "FALSE AND",
        f"{PAGING} -k event_list",
    ),
    Change("pipelines/dashboard/sql/outcomes.sql", "received_at < @until", "TRUE", f"{BOUNDS} -k outcomes"),
    Change("pipelines/dashboard/sql/troubles.sql", "received_at >= @since", "TRUE", f"{BOUNDS} -k troubles"),
    Change("pipelines/dashboard/sql/letter_days.sql", "received_at < @until", "TRUE", f"{BOUNDS} -k letter_days"),
    Change("pipelines/dashboard/sql/letter_list.sql", "received_at >= @since", "TRUE", f"{BOUNDS} -k letter_list"),
    Change(
        "pipelines/dashboard/sql/latest_day.sql",
        "SELECT MAX(sent_date)",
        "SELECT MIN(sent_date)",
        f"{BOUNDS} -k last_day",
    ),
    Change(
        "pipelines/dashboard/sql/latest_event.sql",
        "ORDER BY received_at DESC",
        "ORDER BY received_at",
        f"{LATEST} -k webhook",
    ),
    Change("pipelines/dashboard/sql/runs.sql", "run_id < @before_id", "run_id <= @before_id", f"{LATEST} -k runs"),
    Change("pipelines/dashboard/sql/runs.sql", "ORDER BY run_id DESC", "ORDER BY run_id", f"{LATEST} -k runs"),
    Change(
        "pipelines/dashboard/sql/run_states.sql",
        "ORDER BY state_at,",
        "ORDER BY state_at DESC,",
        f"{LATEST} -k runs",
    ),
    Change(
        "pipelines/dashboard/sql/reported.part.sql",
        "DATE_ADD(@last_day, INTERVAL ${after} DAY)",
        "@last_day",
        f"{BY_HAND} -k read_after",
    ),
    Change(
        "pipelines/dashboard/sql/reported_as_told.part.sql",
        "DATE_SUB(@first_day, INTERVAL ${before} DAY)",
        "@first_day",
        f"{BY_HAND} -k weeks_ago",
    ),
    Change(
        "pipelines/dashboard/sql/report_acquisitions.sql",
        "WHERE came_date BETWEEN @first_day AND @last_day",
        "WHERE came_date >= @first_day",
        f"{BY_HAND} -k who_came",
    ),
    Change(
        "pipelines/dashboard/sql/report_actors.sql",
        "COUNT(DISTINCT conversation_id)",
        "COUNT(conversation_id)",
        f"{BY_HAND} -k wrote_twice",
    ),
    Change(
        "pipelines/dashboard/sql/report_costs.sql",
        "told_date BETWEEN @first_day AND @last_day",
        "told_date <= @last_day",
        f"{BY_HAND} -k costs",
    ),
    Change(
        "pipelines/dashboard/sql/report_first_answers.sql",
        "WHERE states.message_id IS NULL",
        "WHERE TRUE",
        f"{BY_HAND} -k first_answers",
    ),
    Change(
        "pipelines/dashboard/sql/report_first_answers.sql",
        "is_answer AND sent_at >= first_inbound_at",
        "is_answer",
        f"{BY_HAND} -k first_answers",
    ),
    Change(
        "pipelines/dashboard/sql/report_first_answers.sql",
        "WHERE started_date BETWEEN @first_day AND @last_day",
        "WHERE started_date <= @last_day",
        f"{BY_HAND} -k first_answers",
    ),
    Change(
        "pipelines/dashboard/sql/report_handovers.sql",
        "COUNT(DISTINCT conversation_id)",
        "COUNT(conversation_id)",
        f"{BY_HAND} -k passed_twice",
    ),
    Change(
        "pipelines/dashboard/sql/report_ratings.sql",
        "COUNTIF(score >= 0.75)",
        "COUNTIF(score > 0.75)",
        f"{BY_HAND} -k rating",
    ),
    Change(
        "pipelines/dashboard/sql/report_sessions.sql",
        "WHERE started_date BETWEEN @first_day AND @last_day",
        "WHERE started_date >= @first_day",
        f"{BOUNDS} -k report_sessions",
    ),
    Change(
        "pipelines/dashboard/sql/report_sessions.sql",
        "IF(begun_by = 'inbound', started_at, NULL)",
        "started_at",
        f"{BY_HAND} -k writes_to",
    ),
    Change(
        "pipelines/dashboard/sql/report_templates.sql",
        "WHERE sent_date BETWEEN @first_day AND @last_day",
        "WHERE sent_date >= @first_day",
        f"{BY_HAND} -k read_after",
    ),
    Change(
        "pipelines/dashboard/sql/report_templates.sql",
        "COUNTIF(state IN ('failed', 'undelivered', 'canceled'))",
        "COUNTIF(state IN ('undelivered', 'canceled'))",
        f"{BY_HAND} -k failed_later",
    ),
)
"""Changed conditions of each view and question."""

LISTS: Final = {"known": KNOWN, "sql": SQL}


def tried(change: Change, code: Path) -> bool:
    """Make a change in a copy of the code, and tell whether its tests notice it.

    Raises:
        ValueError: what it changes is not there, or not once.
    """
    path = code / change.path
    whole = path.read_text("utf-8")
    if whole.count(change.before) != 1:
        raise ValueError(f"{change.path} has {whole.count(change.before)} times: {change.before}")
    path.write_text(whole.replace(change.before, change.after), "utf-8")
    try:
        return not passes(change.tests, code)
    finally:
        path.write_text(whole, "utf-8")


def passes(tests: str, code: Path) -> bool:
    """Tell whether some tests pass in a copy of the code."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *shlex.split(tests)]
    try:
        done = subprocess.run(
            command, cwd=code, timeout=SECONDS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    # Tests that fail, or that cannot even be collected, have noticed something; those that are not there have not.
    return done.returncode in (0, 5)

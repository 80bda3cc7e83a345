import datetime as dt
from typing import Any

import grpc
import msgspec
import pytest
import scripted_write_api as api
from row_samples import RECEIVED, batch, channel, event, sample
from scripted_write_api import ScriptedWriteApi

from pipelines.bigquery import bundle
from pipelines.bigquery.appender import Appender
from pipelines.bigquery.bundle import Bundle
from pipelines.bigquery.faults import RowRefusedError
from pipelines.bigquery.lane import TableUnavailableError
from pipelines.core.batches import NormalizedBatch
from pipelines.core.rows import Row


def refuse(column: str, *bad: str) -> api.Answer:
    """Blame the rows of whose column the value is among the bad ones."""

    def answer(batch: Any, context: grpc.ServicerContext) -> api.Response | None:
        values = batch.column(column).to_pylist() if column in batch.schema.names else []
        indices = [index for index, value in enumerate(values) if value in bad]
        return (api.row_errors(*indices) if indices else api.store)(batch, context)

    return answer


def tables(write_api: ScriptedWriteApi) -> list[str]:
    return [row["table"] for row in write_api.stored]


def of(table: str, write_api: ScriptedWriteApi) -> list[dict[str, Any]]:
    return [row for row in write_api.stored if row["table"] == table]


def two_events() -> NormalizedBatch:
    return batch(
        {
            "messages": [
                sample("messages", message_id="m1", pointer="/entry/0", event_id="e1"),
                sample("messages", message_id="m2", pointer="/entry/1", event_id="e1"),
            ],
            "channels": [channel("c1", "e1"), channel("c2", "e2")],
        }
    )


def test_every_row_is_stored_and_the_ledger_last(write_api: ScriptedWriteApi, appender: Appender) -> None:
    stored = Bundle(appender)
    stored.add(two_events())
    stored.add(batch({"contacts": [sample("contacts", event_id="e3")]}, index=1))

    result = stored.finish()

    assert result.confirmed == {"messages": 2, "channels": 2, "contacts": 1, "events": 3}
    assert result.refused.total() == 0
    assert tables(write_api)[-3:] == ["events"] * 3
    assert [row["outcome"] for row in of("events", write_api)] == ["normalized"] * 3


def test_batches_of_a_bundle_share_requests(write_api: ScriptedWriteApi, appender: Appender) -> None:
    stored = Bundle(appender)
    for index in range(20):
        stored.add(batch({"channels": [channel("c", f"e{index}")]}, index))
    stored.finish()

    assert len(write_api.requests) == 2


def test_nothing_is_sent_for_a_bundle_of_nothing(write_api: ScriptedWriteApi, appender: Appender) -> None:
    assert Bundle(appender).finish().confirmed.total() == 0
    assert write_api.requests == []


def test_delays_run_from_receipt_to_confirmation(write_api: ScriptedWriteApi, appender: Appender) -> None:
    late = bundle.time.time_ns() // 1_000 - 5_000_000
    ledger: list[Row] = [sample("events", event_id="e", received_at=late)]
    stored = Bundle(appender)
    stored.add(NormalizedBatch([event("e")], {"events": ledger}, "test"))

    (delay,) = stored.finish().delays

    assert 5_000 <= delay < 65_000


def test_a_refused_row_becomes_a_dead_letter_and_its_event_partial(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.habit = refuse("message_id", "m2")
    stored = Bundle(appender)
    stored.add(two_events())

    result = stored.finish()

    (letter,) = of("dead_letters", write_api)
    assert (letter["event_id"], letter["stage"], letter["table_name"]) == ("e1", "store", "messages")
    assert (letter["pointer"], letter["data"]) == ("/entry/1", "grüße 👋".encode())
    assert letter["error_message"] == "row 1 is bad"
    first, second = of("events", write_api)
    assert (first["outcome"], first["rows"], first["dead_letters"]) == ("partial", 2, 1)
    assert first["reason"] == "RowRefusedError: row 1 is bad"
    assert (second["outcome"], second["rows"], second["dead_letters"]) == ("normalized", 1, 0)
    assert +result.refused == {"messages": 1}
    assert result.confirmed["messages"] == 1


def test_an_event_all_of_whose_rows_are_refused_has_failed(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.habit = refuse("channel_id", "c2")
    stored = Bundle(appender)
    stored.add(two_events())
    stored.finish()

    outcomes = {row["event_id"]: row["outcome"] for row in of("events", write_api)}
    assert outcomes == {"e1": "normalized", "e2": "failed"}


def test_dead_letters_are_stored_before_the_ledger_that_counts_them(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.habit = refuse("message_id", "m2")
    stored = Bundle(appender)
    stored.add(two_events())
    stored.finish()

    order = tables(write_api)
    assert order.index("dead_letters") < order.index("events")


def item(number: int, pointer: str) -> dict[str, list[Row]]:
    """Return the rows of one item of the event e1: what it says, and what it has seen."""
    ids = {"conversation_id": f"k{number}", "contact_id": f"p{number}", "channel_id": "c1", "event_id": "e1"}
    told = {"pointer": pointer, **ids}
    return {
        "messages": [sample("messages", message_id=f"m{number}", **told)],
        "metadata": [sample("metadata", metadata_id=f"f{number}", **told)],
        "conversations": [sample("conversations", **ids)],
        "contacts": [sample("contacts", **{name: ids[name] for name in ids if name != "conversation_id"})],
        "channels": [channel("c1", "e1")],
    }


@pytest.mark.parametrize(
    ("bad", "letters", "rows"),
    [
        # All rows of the first item, in five tables; the channel is the second item's as well.
        (("m1", "f1", "k1", "p1", "c1"), [("messages", "/0")], 4),
        (("m1", "m2", "f1", "p2"), [("messages", "/0"), ("messages", "/1")], 5),
        (("f1", "k1"), [("metadata", "/0")], 7),
        # What was seen in the second item is not the first's; of several that were seen one tells.
        (("m1", "k2", "p2"), [("messages", "/0"), ("conversations", "")], 6),
        (("k1", "p1", "c1"), [("conversations", "")], 6),
    ],
)
def test_an_item_of_which_several_tables_refuse_rows_counts_once(
    write_api: ScriptedWriteApi,
    appender: Appender,
    bad: tuple[str, ...],
    letters: list[tuple[str, str]],
    rows: int,
) -> None:
    key = {"messages": "message_id", "metadata": "metadata_id"}

    def habit(batch: Any, context: grpc.ServicerContext) -> api.Response | None:
        names = set(batch.schema.names)
        if "traceback" in names or "outcome" in names:
            return api.store(batch, context)
        columns = [
            *(column for column in key.values() if column in names),
            *(f"{kind}_id" for kind in ("conversation", "contact", "channel") if f"source_{kind}_id" in names),
        ]
        return refuse(columns[0], *bad)(batch, context)

    write_api.habit = habit
    made: dict[str, list[Row]] = {}
    for number, pointer in enumerate(("/0", "/1"), 1):
        for table, of_table in item(number, pointer).items():
            made.setdefault(table, []).extend(row for row in of_table if row not in made.get(table, []))
    stored = Bundle(appender)
    stored.add(batch(made))
    result = stored.finish()

    found = of("dead_letters", write_api)
    assert [(row["table_name"], row["pointer"]) for row in found] == letters
    (ledger,) = of("events", write_api)
    assert (ledger["outcome"], ledger["rows"], ledger["dead_letters"]) == ("partial", rows, len(letters))
    assert result.refused.total() == len(bad)


def test_refused_sightings_of_an_event_are_one_dead_letter_with_its_body(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.habit = refuse("channel_id", "c1", "c2")
    stored = Bundle(appender)
    stored.add(batch({"channels": [channel("c1", "e1"), channel("c2", "e1")]}))
    stored.finish()

    assert [row["data"] for row in of("dead_letters", write_api)] == [b'{"id": "e1"}']
    assert [(row["outcome"], row["dead_letters"]) for row in of("events", write_api)] == [("failed", 1)]


def test_rows_are_sent_once_they_are_heavy_however_few(
    write_api: ScriptedWriteApi, appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MOST_COLLECTED", 1_000)
    stored = Bundle(appender)
    stored.add(msgspec.structs.replace(batch({"channels": [channel("c1", "e1")]}), weight=1_000))

    assert stored._collected == {}
    stored.add(msgspec.structs.replace(batch({"channels": [channel("c2", "e2")]}), weight=999))
    assert list(stored._collected) == ["channels"]
    stored.finish()


def test_an_event_that_came_twice_counts_a_refused_row_once(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.habit = refuse("message_id", "m2")
    stored = Bundle(appender)
    stored.add(two_events())
    stored.add(two_events())
    stored.finish()

    assert len(of("dead_letters", write_api)) == 1
    ledger = {(row["event_id"], row["rows"], row["dead_letters"]) for row in of("events", write_api)}
    assert ledger == {("e1", 2, 1), ("e2", 1, 0)}


def test_the_first_reason_of_a_partial_event_is_kept(write_api: ScriptedWriteApi, appender: Appender) -> None:
    write_api.habit = refuse("message_id", "m2")
    made = two_events()
    made.rows["events"] = [
        msgspec.structs.replace(row, outcome="partial", reason="an item was bad", dead_letters=1)
        for row in made.rows["events"]
    ]
    stored = Bundle(appender)
    stored.add(made)
    stored.finish()

    (first,) = [row for row in of("events", write_api) if row["event_id"] == "e1"]
    assert (first["reason"], first["dead_letters"]) == ("an item was bad", 2)


def test_a_dead_letter_that_is_refused_is_stored_without_what_it_carries(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.habit = refuse("traceback", "bad")
    letter = sample("dead_letters", event_id="e", traceback="bad", error_message="why")
    stored = Bundle(appender)
    stored.add(NormalizedBatch([event("e")], {"events": [], "dead_letters": [letter]}, "test"))
    stored.finish()

    (row,) = of("dead_letters", write_api)
    assert (row["event_id"], row["error_message"], row["data"]) == ("e", "why", None)


def test_a_dead_letter_that_is_too_large_for_bigquery_is_stored_without_the_body(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    def habit(batch: Any, context: grpc.ServicerContext) -> api.Response | None:
        if "m2" in (batch.column("message_id").to_pylist() if "message_id" in batch.schema.names else []):
            return refuse("message_id", "m2")(batch, context)
        if "traceback" in batch.schema.names and any(batch.column("data").to_pylist()):
            says = "AppendRows request too large: 3 limit 2"
            return api.error(grpc.StatusCode.INVALID_ARGUMENT, message=says)(batch, context)
        return api.store(batch, context)

    write_api.habit = habit
    stored = Bundle(appender)
    stored.add(two_events())
    stored.finish()

    (letter,) = of("dead_letters", write_api)
    assert (letter["event_id"], letter["table_name"], letter["data"]) == ("e1", "messages", None)
    assert [row["outcome"] for row in of("events", write_api)] == ["partial", "normalized"]


def test_a_bundle_whose_dead_letter_cannot_be_stored_fails(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.habit = refuse("event_id", "e")
    stored = Bundle(appender)
    stored.add(NormalizedBatch([event("e")], {"dead_letters": [sample("dead_letters", event_id="e")]}, "test"))

    with pytest.raises(RowRefusedError):
        stored.finish()


def test_a_refused_ledger_row_is_told_by_a_dead_letter(write_api: ScriptedWriteApi, appender: Appender) -> None:
    write_api.habit = refuse("outcome", "normalized")
    stored = Bundle(appender)
    stored.add(batch({"channels": [channel("c", "e")]}))
    stored.finish()

    (letter,) = of("dead_letters", write_api)
    assert (letter["event_id"], letter["table_name"]) == ("e", "events")


def test_an_event_of_a_time_that_no_partition_takes_keeps_nothing_waiting(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    def habit(batch: Any, context: grpc.ServicerContext) -> api.Response | None:
        times = batch.column("received_at").to_pylist()
        old = [index for index, moment in enumerate(times) if moment.year == 1970]
        return (api.row_errors(*old) if old else api.store)(batch, context)

    write_api.habit = habit
    made = batch({"channels": [msgspec.structs.replace(channel("c1", "e1"), received_at=7), channel("c2", "e2")]})
    made.rows["events"][0] = msgspec.structs.replace(made.rows["events"][0], received_at=7)
    stored = Bundle(appender)
    stored.add(made)
    stored.finish()

    letters = of("dead_letters", write_api)
    assert [(row["event_id"], row["table_name"], row["data"]) for row in letters] == [
        ("e1", "channels", None),
        ("e1", "events", None),
    ]
    assert all(row["received_at"] > RECEIVED - dt.timedelta(days=3_600) for row in letters)
    assert [row["event_id"] for row in of("events", write_api)] == ["e2"]


def test_the_ledger_claims_nothing_while_rows_are_missing(write_api: ScriptedWriteApi, appender: Appender) -> None:
    missing = api.abort(grpc.StatusCode.NOT_FOUND)

    def without_channels(batch: Any, context: grpc.ServicerContext) -> api.Response | None:
        return (missing if "source_channel_id" in batch.schema.names else api.store)(batch, context)

    write_api.habit = without_channels
    stored = Bundle(appender)
    stored.add(two_events())

    with pytest.raises(TableUnavailableError):
        stored.finish()
    assert "events" not in tables(write_api)


def test_what_is_held_in_memory_is_bounded(
    write_api: ScriptedWriteApi, appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MOST_HELD", 1)
    stored = Bundle(appender)
    stored.add(two_events())

    assert tables(write_api).count("events") == 2
    assert stored.finish().confirmed["events"] == 2

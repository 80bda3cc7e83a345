import datetime as dt
import itertools
import json
from pathlib import Path

import pytest
import sample_world as world
from msgspec import structs
from sqlglot import exp

from pipelines.core.generation import GENERATION
from pipelines.core.rows import Message, Metadata
from pipelines.sources.normalization import normalize
from schemas import loader, view_columns
from schemas.raw_event import RawEvent, format_received_at
from tests.raw_events import raw_event

SAMPLES = Path(__file__).parents[1] / "samples"
NOON = dt.datetime(2026, 3, 14, 12, tzinfo=dt.UTC)
CONTACT, PAGE = "7310000000000001", world.PAGE


def later(**by):
    return NOON + dt.timedelta(**by)


def page(*items, received_at=NOON, number=1):
    body = {"object": "page", "entry": [{"id": PAGE, "messaging": items}]}
    return RawEvent(
        json.dumps(body).encode(),
        {
            "event_id": f"019caaaa-0000-7000-8000-{number:012d}",
            "source": "facebook",
            "received_at": format_received_at(received_at),
        },
    )


def item(moment=NOON, contact=CONTACT, **payload):
    stamp = {} if moment is None else {"timestamp": int(moment.timestamp() * 1000)}
    return {"sender": {"id": contact}, "recipient": {"id": PAGE}, **stamp, **payload}


def text(mid, words="words", moment=NOON, contact=CONTACT):
    return item(moment, contact, message={"mid": mid, "text": words})


def answer(mid, moment=NOON, contact=CONTACT):
    message = {"mid": mid, "text": "answer", "is_echo": True}
    return item(moment, contact, message=message) | {"sender": {"id": PAGE}, "recipient": {"id": contact}}


def only(rows):
    (row,) = rows
    return row


@pytest.mark.thorough
@pytest.mark.parametrize("name", loader.views())
def test_is_googlesql_that_runs_and_has_the_columns_that_the_dictionary_says(sample_world, name):
    sample_world.query(f"SELECT * FROM parley.{name}")

    assert sample_world.columns(name) == [column.name for column in view_columns.columns(name)]


def test_only_views_read_views_and_each_table_has_one_reader():
    readers = [
        (source, name)
        for name, sql in loader.views().items()
        for dataset, source in view_columns.reads(sql)
        if dataset == "rows"
    ]

    # Sightings are read where they lie: in tables of their own, and in those that tell them as well.
    own = [(source, name) for source, name in readers if not name.startswith(loader.SEEN)]
    seen = [(source, name.removeprefix(loader.SEEN)) for source, name in readers if name.startswith(loader.SEEN)]
    assert [name.removeprefix(loader.COUNTED) for _, name in own] == [source for source, _ in own]
    assert len({source for source, _ in own}) == len(own)
    assert sorted(seen) == sorted(
        (source, table) for table in loader.SIGHTINGS for source in (table, "messages", "metadata")
    )


@pytest.mark.parametrize("name", loader.views())
def test_every_order_that_chooses_a_row_is_named(name):
    chosen = view_columns.parsed(loader.views()[name]).find_all(exp.RowNumber)

    for number in chosen:
        window = number.parent
        assert window.args.get("order") or window.args.get("alias")


class TestMessages:
    def test_a_redelivered_message_is_one(self, analyst):
        analyst.tell(page(text("m_1")), page(text("m_1"), received_at=later(minutes=5), number=2))

        row = only(analyst.query("SELECT received_at FROM parley.messages"))
        assert row["received_at"] == NOON

    def test_the_highest_generation_tells_it(self, analyst):
        rows = normalize(page(text("m_1")))
        newer = [_with(row, generation=GENERATION + 1, kind="newer") for row in rows if isinstance(row, Message)]
        analyst.load([*rows, *newer])

        row = only(analyst.query("SELECT generation, kind FROM parley.messages"))
        assert row == {"generation": GENERATION + 1, "kind": "newer"}

    def test_what_the_highest_generation_does_not_tell_any_more_is_not_there(self, analyst):
        rows = normalize(page(text("m_1"), text("m_2")))
        told = [row for row in rows if getattr(row, "source_message_id", "") != "m_2"]
        analyst.load([*rows, *(_with(row, generation=GENERATION + 1) for row in told)])

        assert only(analyst.query("SELECT source_message_id FROM parley.messages"))["source_message_id"] == "m_1"

    def test_the_last_decision_on_what_is_told_twice_holds_and_may_be_none(self, analyst):
        for decided, hour in (
            ("'a', DATE '2026-03-02'", "10"),
            ("'a', DATE '2026-03-01'", "11"),
            ("'b', DATE '2026-03-02'", "10"),
            ("'b', NULL", "11"),
        ):
            moment = f"TIMESTAMP '2026-03-05 {hour}:00:00+00'"
            analyst.insert("retold", f"(id, shown_date, decided_at) VALUES ({decided}, {moment})")

        found = analyst.query("SELECT id, shown_date FROM parley.retold")
        assert found == [{"id": "a", "shown_date": dt.date(2026, 3, 1)}]

    def test_a_message_in_two_partitions_is_shown_in_the_one_that_was_settled_on(self, analyst):
        old = later(days=-4000)
        analyst.tell(
            page(text("m_1", moment=old), text("m_2")),
            page(text("m_1", moment=old), received_at=later(days=2), number=2),
        )
        told = analyst.query("SELECT message_id FROM parley.messages WHERE sent_date = DATE '2026-03-16'")
        settled = f"('{only(told)['message_id']}', DATE '2026-03-14', TIMESTAMP '2026-03-17 09:00:00+00')"
        analyst.insert("retold", f"(id, shown_date, decided_at) VALUES {settled}")

        found = analyst.query("SELECT source_message_id AS mid, sent_date FROM parley.messages ORDER BY mid")
        assert [(row["mid"], row["sent_date"].day) for row in found] == [("m_1", 14), ("m_2", 14)]

    def test_the_same_message_twice_in_one_request_is_its_first_item(self, analyst):
        analyst.tell(page(text("m_1", "first"), text("m_1", "second")))

        row = only(analyst.query("SELECT pointer FROM parley.messages"))
        assert row["pointer"] == "/entry/0/messaging/0"

    def test_a_message_told_again_in_another_partition_is_counted_once_everywhere_else(self, analyst):
        old = later(days=-4000)
        analyst.tell(
            page(text("m_1", moment=old)),
            page(text("m_1", moment=old), received_at=later(days=2), number=2),
        )

        found = analyst.query("SELECT sent_date, message_id FROM parley.messages ORDER BY sent_date")
        assert [row["sent_date"].day for row in found] == [14, 16]
        for view in ("conversations", "contacts", "channels"):
            counted = only(analyst.query(f"SELECT messages, inbound_messages FROM parley.{view}"))
            assert counted == {"messages": 1, "inbound_messages": 1}
        assert len(analyst.query("SELECT * FROM parley.response_times")) == 1


class TestMetadata:
    @pytest.fixture
    def flips(self, analyst):
        """Tell that something is on, five minutes later off, then on again; return when what is shown was told."""

        def tell(**timed):
            fact = {"namespace": "contact", "source_id": "c", "source_channel_id": "app", **timed}
            facts = [{"metadata": [fact | {"metadata": {"alerts": value}}]} for value in ("on", "off", "on")]
            with world.custom_sources():
                _tell_all(
                    analyst,
                    *((NOON, "shop-app", json.dumps(told).encode(), {}) for told in facts),
                    every=dt.timedelta(minutes=5),
                )
            found = analyst.query("SELECT value, received_at FROM parley.metadata ORDER BY received_at")
            return [(row["value"], row["received_at"]) for row in found]

        return tell

    def test_what_has_no_time_and_came_back_to_a_value_stands_as_told_last(self, flips):
        assert flips() == [("off", later(minutes=5)), ("on", later(minutes=10))]

    def test_what_has_a_time_stands_as_told_first(self, flips):
        assert flips(occurred_at=int(NOON.timestamp() * 1000)) == [("on", NOON), ("off", later(minutes=5))]

    @pytest.mark.parametrize(
        ("namespace", "value", "settled", "shown"),
        [
            ("contact", {"alerts": "on"}, 15, [15, 16]),
            ("message", {"source": {"delivery_state": "sent"}}, 14, [14]),
        ],
    )
    def test_what_is_told_again_after_its_partition_was_settled_shows_unless_it_is_a_state(
        self, analyst, namespace, value, settled, shown
    ):
        fact = {"namespace": namespace, "source_id": "c", "source_channel_id": "app", "metadata": value}
        told = (NOON, "shop-app", json.dumps({"metadata": [fact]}).encode(), {})
        with world.custom_sources():
            _tell_all(analyst, told, told, told, every=dt.timedelta(days=1))
        days = "SELECT EXTRACT(DAY FROM occurred_date) AS day FROM parley.metadata ORDER BY day"
        assert [row["day"] for row in analyst.query(days)] == [14, 15, 16]

        known = only(analyst.query("SELECT DISTINCT metadata_id FROM parley.metadata"))["metadata_id"]
        values = f"('{known}', DATE '2026-03-{settled}', TIMESTAMP '2026-03-16 09:00:00+00')"
        analyst.insert("retold", f"(id, shown_date, decided_at) VALUES {values}")
        assert [row["day"] for row in analyst.query(days)] == shown


class TestCurrentMessages:
    def test_the_last_edit_is_the_text_in_whatever_order_edits_arrive(self, analyst):
        second = item(later(minutes=2), message_edit={"mid": "m_1", "text": "second", "num_edit": 2})
        first = item(later(minutes=1), message_edit={"mid": "m_1", "text": "first", "num_edit": 1})
        analyst.tell(
            page(text("m_1", "as sent")),
            page(second, received_at=later(minutes=2), number=2),
            page(first, received_at=later(minutes=3), number=3),
            page(first, received_at=later(minutes=4), number=4),
        )

        row = only(analyst.query("SELECT text, edits, edited_at FROM parley.messages_current"))
        assert row == {"text": "second", "edits": 2, "edited_at": later(minutes=2)}

    def test_of_edits_and_reactions_of_one_second_in_one_webhook_the_last_counts(self, analyst):
        # More than ten, so that their places are not in the order of their pointers' letters.
        edits = [item(message_edit={"mid": "m_1", "text": f"text {n}", "num_edit": n}) for n in range(1, 12)]
        reacts = [item(reaction={"mid": "m_1", "action": "react", "emoji": each}) for each in "👍😮😢👎❤"]
        analyst.tell(page(text("m_1")), page(*edits, *reacts, number=2))
        analyst.tell(page(*reacts, received_at=later(minutes=1), number=3))

        row = only(analyst.query("SELECT text, edits, reactions FROM parley.messages_current"))
        assert (row["text"], row["edits"]) == ("text 11", 11)
        assert [each["emoji"] for each in row["reactions"]] == ["❤"]

    def test_what_tells_no_new_text_changes_none(self, analyst):
        edit = item(later(minutes=1), message_edit={"mid": "m_1", "text": "first", "num_edit": 1})
        beside = item(later(minutes=2), message_edit={"mid": "m_1", "num_edit": 0})
        analyst.tell(page(text("m_1", "as sent")), page(edit, number=2), page(beside, number=3))
        # What an earlier generation made of an edit without a text.
        (told,) = (row for row in normalize(page(edit, number=4)) if isinstance(row, Metadata))
        later_time = told.occurred_at + 120_000_000
        analyst.load([structs.replace(told, metadata_id="empty", value="", occurred_at=later_time)])

        row = only(analyst.query("SELECT text, edits FROM parley.messages_current"))
        assert row == {"text": "first", "edits": 1}

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_a_placeholder_of_media_stands_until_the_media_is_told(self, analyst, order):
        names = ("history", "history_media")
        for turn, which in enumerate(order):
            moment = later(minutes=turn)
            attributes = {
                "event_id": f"019caaaa-0000-7000-8000-{turn:012d}",
                "source": "whatsapp",
                "received_at": format_received_at(moment),
            }
            analyst.tell(RawEvent((SAMPLES / "whatsapp" / f"{names[which]}.json").read_bytes(), attributes))
            found = analyst.query("SELECT flags FROM parley.messages WHERE source_message_id = 'wamid.h3'")
            is_told = 1 in order[: turn + 1]
            assert only(found) == {"flags": ["history"] if is_told else ["history", "placeholder"]}

    def test_a_deleted_message_says_nothing_more(self, analyst):
        analyst.tell(page(text("m_1")), page(item(message={"mid": "m_1", "is_deleted": True}), number=2))

        row = only(analyst.query("SELECT text, is_deleted, deleted_at FROM parley.messages_current"))
        assert row == {"text": None, "is_deleted": True, "deleted_at": NOON}
        assert only(analyst.query("SELECT text FROM parley.message_texts")) == {"text": "words"}

    def test_a_deleted_message_shows_neither_what_came_with_it_nor_what_was_chosen(self, analyst):
        files = {"attachments": [{"type": "image", "payload": {"url": "https://x/1"}}]}
        told = item(message={"mid": "m_1", "quick_reply": {"payload": "p"}, **files})
        analyst.tell(page(told), page(item(message={"mid": "m_1", "is_deleted": True}), number=2))

        row = only(analyst.query("SELECT attachments, choice FROM parley.messages_current"))
        assert row == {"attachments": [], "choice": None}

    def test_the_last_reaction_of_each_person_stands_until_it_is_removed(self, analyst):
        def reaction(minute, emoji, sender=CONTACT):
            action = {"mid": "m_1", "action": "react" if emoji else "unreact"}
            told = item(later(minutes=minute), sender, reaction=action | ({"emoji": emoji} if emoji else {}))
            return page(told, received_at=later(minutes=minute), number=minute + 1)

        analyst.tell(page(text("m_1")), reaction(1, "👍"), reaction(2, "❤"), reaction(3, "😮", PAGE))
        found = only(analyst.query("SELECT reactions FROM parley.messages_current"))
        assert [(each["emoji"], each["actor_id"]) for each in found["reactions"]] == [("❤", CONTACT), ("😮", PAGE)]

        analyst.tell(reaction(4, ""))
        found = only(analyst.query("SELECT reactions FROM parley.messages_current"))
        assert [each["emoji"] for each in found["reactions"]] == ["😮"]


@pytest.mark.thorough
class TestDeliveries:
    @pytest.fixture
    def told(self, analyst):
        """Tell of one answer, then of each state of it at a minute; return how far it came."""

        def tell(*states):
            analyst.tell(page(answer("m_1")))
            for number, (minute, payload) in enumerate(states, 2):
                moment = later(minutes=minute)
                analyst.tell(page(item(moment, **payload), received_at=moment, number=number))
            return only(analyst.query("SELECT delivery_state, delivered_at, read_at FROM parley.messages_current"))

        return tell

    def test_a_receipt_that_comes_late_does_not_take_back_a_later_state(self, analyst):
        phone = "4915550000101"
        statuses = [
            {"id": "wamid.1", "status": state, "recipient_id": phone, "timestamp": str(int(moment.timestamp()))}
            for state, moment in (("read", later(minutes=2)), ("delivered", later(minutes=1)), ("sent", NOON))
        ]
        for order in itertools.permutations(statuses):
            _tell_all(analyst, *(world.whatsapp_event(NOON, statuses=[status]) for status in order))

        row = only(analyst.query("SELECT state, sent_at, delivered_at, read_at FROM parley.delivery_states"))
        assert row == {
            "state": "read",
            "sent_at": NOON,
            "delivered_at": later(minutes=1),
            "read_at": later(minutes=2),
        }

    def test_each_state_came_when_the_first_of_its_receipts_says(self, analyst):
        states = ("sent", "sent", "failed", "failed", "delivered", "delivered", "read", "read")
        receipts = [
            {"id": "wamid.1", "status": state, "recipient_id": "4915550000101", "timestamp": str(at)}
            for at, state in enumerate(states, int(NOON.timestamp()))
        ]
        _tell_all(analyst, *(world.whatsapp_event(NOON, statuses=[each]) for each in reversed(receipts)))

        row = only(analyst.query("SELECT sent_at, failed_at, delivered_at, read_at FROM parley.delivery_states"))
        assert list(row.values()) == [NOON, later(seconds=2), later(seconds=4), later(seconds=6)]

    def test_what_only_receipts_tell_of_was_sent_when_they_say_so_and_not_when_it_was_queued(self, analyst):
        ends = {"From": world.SMS_NUMBER, "To": "+4915550000200"}
        told = (("SM1", "queued"), ("SM1", "sent"), ("SM1", "delivered"), ("SM2", "queued"), ("SM2", "delivered"))
        _tell_all(analyst, *(world.form(NOON, MessageSid=sid, MessageStatus=state, **ends) for sid, state in told))

        found = analyst.query("SELECT state, sent_at FROM parley.messages_by_receipt ORDER BY sent_at")
        assert found == [
            {"state": "delivered", "sent_at": later(minutes=1)},
            {"state": "delivered", "sent_at": later(minutes=3)},
        ]

    def test_a_state_without_a_time_of_its_own_came_when_it_was_first_told(self, analyst):
        form = b"MessageSid=SM1&MessageStatus=sent&From=%2B15550100001&To=%2B4915550000101"
        for number, moment in enumerate((NOON, later(minutes=5), later(days=1)), 1):
            event = raw_event(form, source="twilio", received_at=moment, number=number)
            event.attributes["content_type"] = "application/x-www-form-urlencoded"
            analyst.tell(event)

        assert only(analyst.query("SELECT sent_at FROM parley.delivery_states"))["sent_at"] == NOON

    def test_a_watermark_covers_what_was_sent_up_to_it(self, told):
        mark = int(NOON.timestamp() * 1000)

        assert told((1, {"delivery": {"watermark": mark}}), (3, {"read": {"watermark": mark}})) == {
            "delivery_state": "read",
            "delivered_at": later(minutes=1),
            "read_at": later(minutes=3),
        }

    @pytest.mark.parametrize(("kind", "reached"), [("delivery", "delivered_at"), ("read", "read_at")])
    def test_a_watermark_does_not_cover_again_what_the_one_before_it_did(self, told, kind, reached):
        mark = int(NOON.timestamp() * 1000)

        row = told((1, {kind: {"watermark": mark}}), (3, {kind: {"watermark": mark + 60_000}}))
        assert row[reached] == later(minutes=1)

    @pytest.mark.parametrize("kind", ["delivery", "read"])
    def test_a_watermark_is_not_about_what_the_contact_sent(self, analyst, kind):
        mark = {kind: {"watermark": int(later(minutes=2).timestamp() * 1000)}}
        analyst.tell(page(text("m_1"), answer("m_2", later(minutes=1)), item(later(minutes=3), **mark)))

        found = analyst.query(
            "SELECT direction, COALESCE(read_at, delivered_at) AS reached_at, delivery_state "
            "FROM parley.messages_current ORDER BY direction"
        )
        assert found == [
            {"direction": "inbound", "reached_at": None, "delivery_state": None},
            {
                "direction": "outbound",
                "reached_at": later(minutes=3),
                "delivery_state": {"delivery": "delivered", "read": "read"}[kind],
            },
        ]

    def test_states_have_an_order_whichever_is_told_first(self, analyst):
        order = ("accepted", "queued", "sending", "sent", "failed", "delivered", "read")
        events = [
            raw_event(
                f"MessageSid=SM{pair}&MessageStatus={state}&From=%2B15550100001&To=%2B4915550000101".encode(),
                source="twilio",
                received_at=NOON,
                number=2 * pair + last,
            )
            for pair, states in enumerate(itertools.pairwise(order))
            for last, state in enumerate(reversed(states))
        ]
        for event in events:
            event.attributes["content_type"] = "application/x-www-form-urlencoded"
        analyst.tell(*events)

        found = analyst.query("SELECT state FROM parley.delivery_states ORDER BY state")
        assert [row["state"] for row in found] == sorted(order[1:])

    def test_a_watermark_does_not_cover_what_was_sent_after_it(self, told):
        mark = int(NOON.timestamp() * 1000) - 1

        row = told((1, {"read": {"watermark": mark}}))
        assert row == {"delivery_state": None, "delivered_at": None, "read_at": None}

    def test_a_receipt_of_the_message_itself_wins_over_an_earlier_watermark(self, told):
        mark = int(NOON.timestamp() * 1000)
        row = told((1, {"delivery": {"watermark": mark}}), (2, {"delivery": {"mids": ["m_1"]}}))

        assert (row["delivery_state"], row["delivered_at"]) == ("delivered", later(minutes=1))

    def test_each_message_is_in_the_funnel_once_and_each_step_holds_the_next(self, sample_world):
        funnel = sample_world.query("SELECT * FROM parley.delivery_funnel")
        known = sample_world.query(
            "SELECT COUNT(DISTINCT message_id) AS n FROM ("
            "SELECT message_id FROM parley.messages WHERE direction = 'outbound' "
            "UNION ALL SELECT message_id FROM parley.delivery_states)"
        )

        assert sum(row["messages"] for row in funnel) == only(known)["n"]
        for row in funnel:
            assert row["read"] <= row["delivered"] <= row["sent"]
            assert row["sent"] + row["failed"] + row["without_receipt"] <= row["messages"]
        assert sum(row["failed"] for row in funnel) > 0
        assert sum(row["only_receipts"] for row in funnel) > 0


@pytest.mark.thorough
class TestConversations:
    def test_who_waits_and_how_long_the_first_answer_took(self, analyst):
        analyst.tell(
            page(
                answer("m_0", later(minutes=-60)),
                text("m_1", moment=NOON),
                text("m_2", moment=later(minutes=1)),
                answer("m_3", later(minutes=10)),
                text("m_4", moment=later(minutes=20)),
                text("m_5", moment=later(minutes=21)),
                received_at=later(minutes=21),
            )
        )

        row = only(analyst.query("SELECT * FROM parley.conversations"))
        assert row["first_response_seconds"] == 600
        assert (row["is_waiting"], row["waiting_since"]) == (True, later(minutes=20))
        assert row["open_questions"] == 2
        assert (row["messages"], row["inbound_messages"], row["outbound_messages"]) == (6, 4, 2)
        assert (row["first_message_at"], row["last_message_at"]) == (later(minutes=-60), later(minutes=21))

    @pytest.mark.parametrize(("state", "waits"), [("sent", False), ("failed", True)])
    def test_an_answer_that_only_its_receipts_tell_of_is_one_unless_it_failed(self, analyst, state, waits):
        phone = "4915550000101"
        seconds = str(int(NOON.timestamp()))
        question = {"from": phone, "id": "wamid.1", "timestamp": seconds, "type": "text", "text": {"body": "?"}}
        status = {"id": "wamid.2", "status": state, "recipient_id": phone}
        status["timestamp"] = str(int(later(minutes=5).timestamp()))
        _tell_all(
            analyst,
            world.whatsapp_event(NOON, messages=[question]),
            world.whatsapp_event(later(minutes=5), statuses=[status]),
        )

        row = only(analyst.query("SELECT * FROM parley.conversations"))
        assert (row["is_waiting"], row["open_questions"]) == (waits, int(waits))
        assert (row["messages"], row["outbound_messages"], row["last_message_at"]) == (1, 0, NOON)
        turn = only(analyst.query("SELECT response_seconds FROM parley.response_times"))
        assert row["first_response_seconds"] == turn["response_seconds"] == (None if waits else 300)
        assert len(analyst.query("SELECT * FROM parley.messages_by_receipt")) == 1

    def test_a_contact_who_deletes_what_is_not_known_has_no_answer(self, analyst):
        phone = "4915550000101"
        seconds = str(int(NOON.timestamp()))
        question = {"from": phone, "id": "wamid.1", "timestamp": seconds, "type": "text", "text": {"body": "?"}}
        status = {"id": "wamid.before", "status": "deleted", "recipient_id": phone}
        status["timestamp"] = str(int(later(minutes=5).timestamp()))
        _tell_all(
            analyst,
            world.whatsapp_event(NOON, messages=[question]),
            world.whatsapp_event(later(minutes=5), statuses=[status]),
        )

        row = only(analyst.query("SELECT is_waiting, first_response_seconds FROM parley.conversations"))
        assert list(row.values()) == [True, None]
        for view in ("messages_by_receipt", "delivery_funnel", "message_costs"):
            assert analyst.query(f"SELECT * FROM parley.{view}") == []

    @pytest.mark.parametrize(("state", "waits"), [("delivered", False), ("failed", True)])
    def test_an_answer_that_was_told_is_one_unless_it_failed(self, analyst, state, waits):
        common = {"source_conversation_id": "order", "source_channel_id": "app"}
        asked, answered = int(NOON.timestamp() * 1000), int(later(minutes=5).timestamp() * 1000)
        question = {"source_message_id": "q", "source_sender_id": "c", "from_contact": True, "sent_at": asked}
        reply = {"source_message_id": "a", "source_sender_id": "desk", "source_recipient_id": "c"}
        reply |= {"from_contact": False, "sent_at": answered}
        receipt = {"namespace": "message", "source_id": "a", "source_channel_id": "app", "occurred_at": answered}
        receipt["metadata"] = {"source": {"delivery_state": state}}
        body = {
            "messages": [common | each | {"content": "x"} for each in (question, reply)],
            "metadata": [receipt],
        }
        with world.custom_sources():
            _tell_all(analyst, (later(minutes=6), "shop-app", json.dumps(body).encode(), {}))

        row = only(analyst.query("SELECT * FROM parley.conversations"))
        assert (row["is_waiting"], row["open_questions"]) == (waits, int(waits))
        assert (row["messages"], row["outbound_messages"]) == (2, 1)
        turn = only(analyst.query("SELECT response_seconds FROM parley.response_times"))
        assert row["first_response_seconds"] == turn["response_seconds"] == (None if waits else 300)

    def test_what_went_out_at_the_very_time_of_a_question_answers_it(self, analyst):
        analyst.tell(page(answer("m_a"), text("m_b"), answer("m_c"), text("m_d")))

        row = only(analyst.query("SELECT is_waiting, first_response_seconds FROM parley.conversations"))
        assert row == {"is_waiting": False, "first_response_seconds": 0}
        assert [row["response_seconds"] for row in analyst.query("SELECT * FROM parley.response_times")] == [0]

    def test_a_message_without_a_time_that_is_told_again_after_its_answer_asks_nothing_new(self, analyst):
        asked = {"MessageSid": "SM1", "From": "+4915550000200", "To": world.SMS_NUMBER, "Body": "?"}
        answered = {"MessageSid": "SM2", "From": world.SMS_NUMBER, "To": "+4915550000200", "MessageStatus": "sent"}
        _tell_all(
            analyst,
            world.form(NOON, **asked),
            world.form(NOON, **answered),
            world.form(NOON, **asked),
            every=dt.timedelta(hours=11),
        )

        assert len(analyst.query("SELECT * FROM parley.messages")) == 2
        row = only(analyst.query("SELECT is_waiting, open_questions, messages FROM parley.conversations"))
        assert row == {"is_waiting": False, "open_questions": 0, "messages": 1}
        assert len(analyst.query("SELECT * FROM parley.response_times")) == 1

    def test_nobody_waits_after_an_answer(self, analyst):
        analyst.tell(page(text("m_1"), answer("m_2", later(minutes=1)), received_at=later(minutes=1)))

        row = only(analyst.query("SELECT is_waiting, waiting_since, open_questions FROM parley.conversations"))
        assert row == {"is_waiting": False, "waiting_since": None, "open_questions": 0}

    def test_a_conversation_without_messages_is_there(self, analyst):
        analyst.tell(page(item(read={"watermark": 1})))

        row = only(analyst.query("SELECT messages, first_message_at, is_waiting FROM parley.conversations"))
        assert row == {"messages": 0, "first_message_at": None, "is_waiting": False}

    def test_each_turn_of_a_conversation_has_its_response_time(self, analyst):
        analyst.tell(
            page(
                text("m_1"),
                text("m_2", moment=later(minutes=1)),
                answer("m_3", later(minutes=10)),
                text("m_4", moment=later(minutes=20)),
                answer("m_5", later(minutes=25)),
                answer("m_6", later(minutes=26)),
                text("m_7", moment=later(minutes=30)),
                received_at=later(minutes=30),
            )
        )

        found = analyst.query(
            "SELECT asked_at, is_first, response_seconds FROM parley.response_times ORDER BY asked_at"
        )
        assert found == [
            {"asked_at": NOON, "is_first": True, "response_seconds": 600.0},
            {"asked_at": later(minutes=20), "is_first": False, "response_seconds": 300.0},
            {"asked_at": later(minutes=30), "is_first": False, "response_seconds": None},
        ]


@pytest.mark.thorough
class TestContacts:
    def test_of_each_field_the_latest_that_was_told_stands(self, analyst):
        def told(number, **profile):
            contact = {"namespace": "contact", "source_id": "c", "metadata": profile}
            fact = contact | {"occurred_at": int(later(minutes=number).timestamp() * 1000)}
            return RawEvent(
                json.dumps({"metadata": [fact]}).encode(),
                {
                    "event_id": f"019caaaa-0000-7000-8000-{number:012d}",
                    "source": "shop-app",
                    "received_at": format_received_at(later(hours=1)),
                },
            )

        with world.custom_sources():
            analyst.tell(
                told(2, display_name="new"), told(1, display_name="old", locale="de"), told(3, username="u")
            )

        row = only(analyst.query("SELECT * FROM parley.contacts"))
        assert (row["display_name"], row["locale"], row["username"]) == ("new", "de", "u")
        assert (row["first_seen_at"], row["last_seen_at"]) == (later(minutes=1), later(minutes=3))

    def test_a_channel_has_the_latest_name_that_was_told(self, analyst):
        def named(minute, number):
            received, source, body, _ = world.whatsapp_event(later(minutes=minute), messages=[])
            told = json.loads(body)
            (change,) = told["entry"][0]["changes"]
            change["value"]["metadata"]["display_phone_number"] = number
            said = {"from": CONTACT, "id": f"wamid.{minute}", "type": "text", "text": {"body": "?"}}
            change["value"]["messages"] = [said | {"timestamp": str(int(later(minutes=minute).timestamp()))}]
            event_id = f"019caaaa-0000-7000-8000-{9 - minute:012d}"
            attributes = {"event_id": event_id, "source": source, "received_at": format_received_at(received)}
            return RawEvent(json.dumps(told).encode(), attributes)

        analyst.tell(named(2, "15550100022"), named(1, "15550100011"))

        assert only(analyst.query("SELECT display_name FROM parley.channels"))["display_name"] == "15550100022"

    @pytest.mark.parametrize(
        ("view", "key"),
        [("conversations", "conversation_id"), ("contacts", "contact_id"), ("channels", "channel_id")],
    )
    def test_counts_are_those_of_the_messages(self, sample_world, view, key):
        recount = f"SELECT {key}, COUNT(DISTINCT message_id) AS messages FROM parley.messages GROUP BY {key}"
        counted = f"SELECT {key}, messages FROM parley.{view} WHERE messages > 0"

        assert _as_set(sample_world.query(counted)) == _as_set(sample_world.query(recount))


@pytest.mark.thorough
class TestQuality:
    def test_every_request_of_a_day_is_accounted_for(self, sample_world):
        for row in sample_world.query("SELECT * FROM parley.data_quality"):
            assert row["requests"] == row["normalized"] + row["partial"] + row["ignored"] + row["failed"]

    def test_what_went_wrong_is_counted_on_its_day(self, sample_world):
        row = only(
            sample_world.query(
                "SELECT * FROM parley.data_quality WHERE day = '2026-03-06' AND endpoint = 'facebook'"
            )
        )

        wrong = ("partial", "ignored", "failed", "ignored_reasons", "dead_letters", "repeated_requests")
        assert {name: row[name] for name in wrong} == {
            "partial": 1,
            "ignored": 1,
            "failed": 1,
            "ignored_reasons": 1,
            "dead_letters": 2,
            "repeated_requests": 1,
        }
        assert row["late_messages"] == 1

    def test_requests_without_a_body_repeat_none_and_a_reason_given_twice_is_one(self, analyst):
        def empty(number):
            return RawEvent(b"", page(number=number).attributes)

        same = [page(text("m_1"), number=number) for number in (5, 6)]
        analyst.tell(page(number=1), page(number=2, received_at=later(minutes=1)), empty(3), empty(4), *same)

        row = only(analyst.query("SELECT * FROM parley.data_quality"))
        assert (row["requests"], row["ignored"], row["ignored_reasons"]) == (6, 2, 1)
        # The two pages with nothing in them, and the two with the same message.
        assert row["repeated_requests"] == 2

    def test_a_dead_letter_made_twice_is_one(self, analyst):
        broken = page(item(message="broken"))
        analyst.tell(broken)
        analyst.tell(broken, processed_at=NOON)

        assert len(analyst.query("SELECT * FROM parley.dead_letters")) == 1
        assert len(analyst.query("SELECT * FROM parley.events")) == 1


def test_a_run_is_in_its_latest_state(sample_world):
    found = sample_world.query("SELECT run_id, state FROM parley.runs ORDER BY run_id")

    assert [row["state"] for row in found] == ["applied", "planned"]


def test_an_erasure_is_in_its_latest_state(analyst):
    states = ("a", "applied", 11), ("a", "planned", 9), ("a", "applying", 10), ("b", "planned", 10)
    for run, state, hour in states:
        values = f"('{run}', '{state}', TIMESTAMP '2026-03-14 {hour:02}:00:00+00', 'desk', 'k')"
        analyst.insert("erasures", f"(run_id, state, state_at, actor, key_id) VALUES {values}")

    found = analyst.query("SELECT run_id, state FROM parley.erasures ORDER BY run_id")
    assert found == [{"run_id": "a", "state": "applied"}, {"run_id": "b", "state": "planned"}]


def test_the_activity_of_all_days_is_all_messages(sample_world):
    activity = only(
        sample_world.query(
            "SELECT SUM(messages) AS n, SUM(inbound_messages) + SUM(outbound_messages) AS both_ways "
            "FROM parley.daily_activity"
        )
    )
    total = only(sample_world.query("SELECT COUNT(*) AS n FROM parley.messages"))

    assert activity == {"n": total["n"], "both_ways": total["n"]}


def _tell_all(analyst, *told, every=dt.timedelta(minutes=1)):
    """Tell of requests as the sample world makes them, received at equal distances."""
    analyst.tell(
        *(
            RawEvent(
                body,
                {
                    "event_id": f"019caaaa-0000-7000-8000-{number:012d}",
                    "source": source,
                    "received_at": format_received_at(NOON + number * every),
                },
            )
            for number, (_, source, body, _) in enumerate(told)
        )
    )


def _with(row, **changes):
    return type(row)(**({name: getattr(row, name) for name in row.__struct_fields__} | changes))


def _as_set(rows):
    return {tuple(row.values()) for row in rows}

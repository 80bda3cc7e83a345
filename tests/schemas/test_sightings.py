"""Sightings are the same whether they have rows of their own, as until generation 3, or other rows tell them."""

import datetime as dt
import json

import msgspec
import pytest
from sample_world import custom_sources, sample_events

from pipelines.core import rows
from pipelines.sources.normalization import every_row, normalize
from schemas import loader
from tests import material, seen

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MERGED = (
    "SELECT * FROM parley.channels ORDER BY channel_id",
    "SELECT * FROM parley.contacts ORDER BY contact_id",
    "SELECT * FROM parley.conversations ORDER BY conversation_id",
    "SELECT contact_id, kind, other_id, event_id FROM parley.person_links ORDER BY 1, 2, 3",
)
IN_GROUP = """
SELECT contacts.source_contact_id, conversations.seen_at
FROM parley.seen_conversations AS conversations
INNER JOIN parley.contacts AS contacts ON contacts.contact_id = conversations.contact_id"""


def all_rows(make) -> list[rows.Row]:
    with custom_sources():
        return [row for event in sample_events() for row in make(event)]


@pytest.mark.parametrize("table", loader.SIGHTINGS)
def test_every_sighting_is_there_whichever_row_tells_it(sample_world, table):
    columns = seen.COLUMNS[table]
    plain = (f"ARRAY_TO_STRING({name}, ',') AS {name}" if name == "alternative_ids" else name for name in columns)
    found = sample_world.query(f"SELECT DISTINCT {', '.join(plain)} FROM parley.counted_{table}")
    wanted = seen.apart(all_rows(every_row))[table]

    told = {tuple(_plain(name, row[name]) for name in columns) for row in found}
    assert told == wanted
    assert len(wanted) > 10


def _plain(name, value):
    match name:
        case "seen_at":
            return (value - EPOCH) // dt.timedelta(microseconds=1)
        case "seen_date":
            return (value - EPOCH.date()).days
        case "alternative_ids":
            return tuple(value.split(",")) if value else ()
    return value


@pytest.mark.thorough
def test_what_an_earlier_version_has_stored_gives_the_same_channels_contacts_and_conversations(analyst):
    earlier = all_rows(lambda event: seen.as_earlier(every_row(event)))
    later = all_rows(normalize)
    with custom_sources():
        half = {event.event_id for event in sample_events()[::2]}
    answers = []
    mixed = [row for row in earlier if row.event_id in half] + [row for row in later if row.event_id not in half]
    for stored in (earlier, later, mixed):
        analyst.forget()
        analyst.load(stored)
        answers.append([analyst.query(sql) for sql in MERGED])

    assert answers[0] == answers[1] == answers[2]
    assert len(later) < len(earlier) * 0.5


def test_what_a_newer_generation_saw_counts_and_what_an_older_did_not(analyst):
    event = next(each for each in sample_events() if each.source == "chatplugin")
    wrong = [
        msgspec.structs.replace(row, source_contact_id="wrong") if isinstance(row, rows.Contact) else row
        for row in seen.as_earlier(every_row(event))
    ]
    analyst.load([*wrong, *normalize(event)])

    (contact,) = analyst.query("SELECT source_contact_id FROM parley.contacts")
    assert contact["source_contact_id"] != "wrong"


def test_what_is_said_in_a_group_is_no_sighting_of_a_conversation_with_the_member(analyst):
    value = {
        "metadata": {"phone_number_id": "1"},
        "statuses": [
            {
                **{"id": "wamid.1", "timestamp": "1772434801", "status": "read"},
                **{
                    "recipient_id": "group",
                    "recipient_type": "group",
                    "recipient_participant_id": "4915550000001",
                },
            }
        ],
        "messages": [
            {
                **{"id": "wamid.2", "timestamp": "1772434802", "from": "4915550000001", "group_id": "group"},
                **{"type": "text", "text": {"body": "Hello"}},
            }
        ],
    }
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    analyst.tell(material.event("whatsapp", body))

    assert [row["source_contact_id"] for row in analyst.query(f"{IN_GROUP} ORDER BY seen_at")] == [
        "group",
        "group",
    ]

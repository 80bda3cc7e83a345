import json
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalized import FIXTURES, RECEIVED, SAMPLES, normalized, raw_event

from pipelines.core.rows import DeadLetter
from pipelines.sources import PARSERS, registry
from pipelines.sources.normalization import normalize

SOURCES = (SAMPLES / "custom" / "sources.toml").read_text()
BOTS = {
    "at": "2026-11-22T18:29:00Z",
    "bots": [
        {
            "bot_id": "b1",
            "messages": [
                {"id": 4912661846655238145, "from": "u1", "thread": "t", "text": "hi", "at": 1795372140},
                {"id": "2", "to": "u1", "thread": "t", "text": "yes", "kind": "card"},
            ],
            "receipts": [{"message": "2"}],
        },
        {"bot_id": "b2", "messages": [{"id": "3", "from": "u1", "text": "hi"}]},
    ],
}


@pytest.fixture(autouse=True)
def sources(monkeypatch):
    for name, parse in registry.parsers(SOURCES).items():
        monkeypatch.setitem(PARSERS, name, parse)


def bots(body=BOTS):
    return normalized("bot", json.dumps(body).encode(), **{"header.x-bot-event": "READ"})


def reading(monkeypatch, mapping, body, source="odd"):
    monkeypatch.setitem(PARSERS, source, registry.parsers(f"[{source}.mapping]\n{mapping}")[source])
    return normalized(source, json.dumps(body).encode())


def test_items_are_found_where_the_mapping_says_with_their_exact_slices():
    told = bots()["messages"]
    assert [row.pointer for row in told] == ["/bots/0/messages/0", "/bots/0/messages/1", "/bots/1/messages/0"]
    for row in told:
        assert row.content in json.dumps(BOTS)
    assert json.loads(told[0].content) == BOTS["bots"][0]["messages"][0]


def test_expressions_give_ids_direction_sender_and_kind():
    asked, answered, _ = bots()["messages"]
    assert (asked.source, asked.source_message_id, asked.direction) == ("bot", "4912661846655238145", "inbound")
    assert (answered.direction, answered.sender_id, answered.kind) == ("outbound", "b1", "card")
    assert asked.conversation_id == answered.conversation_id
    assert asked.contact_id == answered.contact_id


def test_expressions_read_the_objects_around_the_item():
    rows = bots()
    assert {row.source_channel_id for row in rows["channels"]} == {"b1", "b2"}
    asked, answered, _ = rows["messages"]
    assert (asked.sent_at_raw, answered.sent_at_raw) == ("1795372140", "2026-11-22T18:29:00Z")


def test_facts_join_their_message_and_read_headers_in_lower_case():
    rows = bots()
    assert rows.facts() == {"source.delivery_state": "read"}
    assert rows.metadata.subject_id == rows["messages"][1].message_id


def test_contact_without_a_conversation_is_one():
    assert {row.source_conversation_id for row in bots()["conversations"]} == {"t", "u1"}


def test_bad_item_fails_alone():
    body = json.loads(json.dumps(BOTS))
    body["bots"][0]["messages"][0]["id"] = {"a": 1}
    rows = bots(body)
    assert [row.source_message_id for row in rows["messages"]] == ["2", "3"]
    assert rows.dead_letters.pointer == "/bots/0/messages/0"
    assert "id gives dict" in rows.dead_letters.error_message


def test_lone_surrogate_in_one_item_spares_the_others():
    body = json.dumps(BOTS).replace('"yes"', '"yes \\ud83d"').encode()
    rows = normalized("bot", body)
    assert len(rows["messages"]) == 3
    assert rows["messages"][1].content.encode() in body


def test_no_array_where_one_should_be_fails_alone():
    body = json.loads(json.dumps(BOTS))
    body["bots"][0]["messages"] = "none"
    rows = bots(body)
    assert rows.dead_letters.pointer == "/bots/0/messages"
    assert [row.source_message_id for row in rows["messages"]] == ["3"]


def test_item_that_no_rule_takes_is_a_fact_about_the_closest_subject():
    rows = normalized("viber", b'{"event":"subscribed","user_id":"u","timestamp":1795372200123}')
    assert rows.facts() == {"source.unknown": ""}
    assert rows.metadata.subject_id == rows.conversations.conversation_id
    assert rows.metadata.occurred_at == 1795372200123_000


def test_body_without_items_is_ignored_with_a_reason():
    rows = bots({"bots": []})
    assert (rows.events.outcome, rows.events.reason) == ("ignored", "nothing where the mapping looks for items")


def test_form_is_one_item_and_its_content_the_form_as_it_came():
    body = b"mid=9&msisdn=%2B4915550000042&shortcode=85777&text=Gr%C3%BC%C3%9Fe%00&x"
    rows = normalized("gateway", body, content_type="application/x-www-form-urlencoded; charset=utf-8")
    assert rows.messages.content.encode() == body
    assert rows.messages.content_type == "application/x-www-form-urlencoded"
    assert (rows.messages.source_message_id, rows.messages.direction) == ("9", "inbound")
    assert rows.contacts.phone_number == "+4915550000042"


def test_query_is_readable(monkeypatch):
    mapping = "contact='query.user'\n[[odd.mapping.message]]\nid='item.id'"
    monkeypatch.setitem(PARSERS, "odd", registry.parsers(f"[odd.mapping]\n{mapping}")["odd"])
    assert normalized("odd", b'{"id":1}', query="user=a%20b").contacts.source_contact_id == "a b"


def test_join_takes_numbers_with_all_their_digits(monkeypatch):
    mapping = "contact='item.c'\n[[odd.mapping.message]]\nid=\"join(':', [item.room, item.id])\""
    told = reading(monkeypatch, mapping, {"c": "c", "room": "r", "id": 4912661846655238145})
    assert told.messages.source_message_id == "r:4912661846655238145"
    assert reading(monkeypatch, mapping, {"c": "c", "room": 1, "id": 2.5}).messages.source_message_id == "1:2.5"


@pytest.mark.parametrize("missing", [None, True, {}, [1]])
def test_join_makes_no_id_of_what_is_missing(monkeypatch, missing):
    mapping = "contact='item.c'\n[[odd.mapping.message]]\nid=\"join(':', [item.room, item.id])\""
    rows = reading(monkeypatch, mapping, {"c": "c", "room": "r", "id": missing})
    assert "join" in rows.dead_letters.error_message


THREADS = """
    items = "/hook/ticket/notes/all/*"
    channel = "body.shop"
    contact = "ancestors[1].customer.id"
    display_name = "ancestors[1].customer.name"
    [[odd.mapping.message]]
    id = "item.n"
    from_contact = "item.by == ancestors[1].customer.id"
    sender = "parent.team"
    kind = "ancestors[3].shop"
    """


def test_every_object_between_the_body_and_an_item_can_be_named(monkeypatch):
    ticket = {
        "customer": {"id": "k", "name": "Kim"},
        "notes": {"team": "t2", "all": [{"n": 1, "by": "k"}, {"n": 2}]},
    }
    rows = reading(monkeypatch, THREADS, {"shop": "s1", "hook": {"ticket": ticket, "v": 2}})
    assert [(row.direction, row.sender_id, row.kind) for row in rows["messages"]] == [
        ("inbound", "t2", "s1"),
        ("outbound", "t2", "s1"),
    ]
    assert {(row.source_contact_id, row.display_name) for row in rows["contacts"]} == {("k", "Kim")}
    assert {row.source_channel_id for row in rows["channels"]} == {"s1"}


def test_whole_body_has_no_ancestors(monkeypatch):
    mapping = "contact='item.c'\n[[odd.mapping.message]]\nid='ancestors[0].x || length(ancestors)'"
    assert reading(monkeypatch, mapping, {"c": "c"}).messages.source_message_id == "0"


FORM = "application/x-www-form-urlencoded"
ACTIONS = """
    items = "/payload/actions/*"
    contact = "parent.user.id"
    channel = "body.team"
    [[odd.mapping.message]]
    id = "item.id"
    kind = "'quick_reply'"
    """


def sent_as_form(monkeypatch, mapping, **fields):
    monkeypatch.setitem(PARSERS, "odd", registry.parsers(f"[odd.mapping]\n{mapping}")["odd"])
    return normalized("odd", urlencode(fields).encode(), content_type=FORM)


def test_items_in_json_that_a_field_of_a_form_holds(monkeypatch):
    payload = '{"user": {"id": "U7"}, "actions": [{"id": "é1"}, {"id": 2}, 3, {"id": {}}]}'
    rows = sent_as_form(monkeypatch, ACTIONS, team="T1", payload=payload)
    assert [(row.source_message_id, row.pointer, row.content) for row in rows["messages"]] == [
        ("é1", "/payload/actions/0", '{"id": "é1"}'),
        ("2", "/payload/actions/1", '{"id": 2}'),
        (None, "/payload/actions/2", "3"),
    ]
    assert {row.content_type for row in rows["messages"]} == {"application/json"}
    assert {row.source_contact_id for row in rows["contacts"]} == {"U7"}
    assert {row.source_channel_id for row in rows["channels"]} == {"T1"}
    assert rows.dead_letters.pointer == "/payload/actions/3"


def test_field_that_holds_json_can_be_the_item_itself(monkeypatch):
    mapping = "items='/p'\ncontact='item.u'\n[[odd.mapping.message]]\nid='item.id'"
    assert sent_as_form(monkeypatch, mapping, p='{"u":"u","id":7}').messages.source_message_id == "7"


def test_rules_for_the_form_and_for_its_json_stand_side_by_side(monkeypatch):
    mapping = """
        [[odd.mapping.metadata]]
        items = ""
        subject = "channel"
        key = "source.command"
        value = "item.command"
        [[odd.mapping.message]]
        items = "/p"
        contact = "item.u"
        """
    rows = sent_as_form(monkeypatch, mapping, command="/ask", p='{"u":"u"}')
    assert rows.facts() == {"source.command": "/ask"}
    assert rows.messages.content == '{"u":"u"}'
    assert sent_as_form(monkeypatch, mapping, command="/ask").facts() == {"source.command": "/ask"}


def test_field_that_is_no_json_is_a_dead_letter_with_the_form(monkeypatch):
    rows = sent_as_form(monkeypatch, ACTIONS, payload="{oh")
    assert (rows.dead_letters.pointer, rows.dead_letters.data) == ("/payload", b"payload=%7Boh")


def test_form_without_the_field_is_ignored_with_a_reason(monkeypatch):
    rows = sent_as_form(monkeypatch, ACTIONS, team="T1")
    assert (rows.events.outcome, rows.events.reason) == ("ignored", "nothing where the mapping looks for items")


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_no_field_of_a_form_escapes(value):
    parse = registry.parsers(f"[odd.mapping]\n{ACTIONS}")["odd"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(PARSERS, "odd", parse)
        normalize(raw_event("odd", b"payload=" + value, content_type=FORM))
        normalize(raw_event("odd", urlencode({"payload": value}).encode(), content_type=FORM))


@pytest.mark.parametrize("time", ["SEND_TIME", None, {}, [], True, 1e300])
def test_unusable_times_fall_back_to_receipt(monkeypatch, time):
    mapping = "contact='item.c'\ntime='item.t'\n[[odd.mapping.message]]\nid='item.id'"
    told = reading(monkeypatch, mapping, {"c": "c", "id": 1, "t": time}).messages
    assert (told.sent_at, told.sent_at_from) == (RECEIVED, "received")


def test_every_rule_that_holds_applies(monkeypatch):
    mapping = """
        contact = "item.c"
        [[odd.mapping.message]]
        id = "item.id"
        [[odd.mapping.metadata]]
        when = "item.ad"
        subject = "conversation"
        key = "source.referral"
        value = "item.ad"
        [[odd.mapping.metadata]]
        subject = "contact"
        key = "plan"
        value = "item.plan"
        [[odd.mapping.metadata]]
        subject = "channel"
        key = "source.load"
        value = "item.load"
        """
    rows = reading(monkeypatch, mapping, {"c": "c", "id": 1, "ad": "a7", "plan": True, "load": [1]})
    assert rows.facts() == {"source.referral": "a7", "plan": "true", "source.load": ""}
    assert {row.subject_id for row in rows["metadata"]} == {
        rows.messages.conversation_id,
        rows.messages.contact_id,
        rows.messages.channel_id,
    }
    assert reading(monkeypatch, mapping, {"c": "c", "id": 1, "ad": []}).facts().get("source.referral") is None


@pytest.mark.parametrize(
    ("item", "complaint"),
    [
        ({"id": 1}, "contact gives nothing"),
        ({"id": 1, "c": "c", "own": "no"}, "from_contact gives 'no', not true or false"),
    ],
)
def test_message_that_lacks_what_it_needs_is_a_dead_letter(monkeypatch, item, complaint):
    mapping = "contact='item.c'\n[[odd.mapping.message]]\nfrom_contact='item.own || `true`'"
    assert complaint in reading(monkeypatch, mapping, item).dead_letters.error_message


def test_outer_items_that_only_hold_inner_ones_are_not_unknown(monkeypatch):
    mapping = """
        contact = "item.c"
        [[odd.mapping.message]]
        items = "/m/*"
        [[odd.mapping.metadata]]
        items = ""
        when = "item.load"
        subject = "channel"
        key = "source.load"
        """
    assert reading(monkeypatch, mapping, {"m": [{"c": "c"}]})["metadata"] == []


def test_key_with_slash_is_found_by_its_pointer(monkeypatch):
    mapping = "items='/a~1b'\ncontact='item.c'\n[[odd.mapping.message]]\nid='item.id'"
    assert reading(monkeypatch, mapping, {"a/b": {"c": "c"}}).messages.pointer == "/a~1b"


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("item.", "line 3"),
        ("message.id", "'message' is none of ancestor, ancestors, body, headers, item, parent, query"),
        ("item.a[?b == 'x'] && sender", "'sender' is none of"),
        ("lower(item.a)", "there is no function lower()"),
        ("item.list[?shout(@)]", "there is no function shout()"),
    ],
)
def test_wrong_expressions_are_told_at_start_with_their_line(expression, complaint):
    text = f'[odd.mapping]\n[[odd.mapping.message]]\nid = "{expression}"\ncontact = "item.c"\n'
    with pytest.raises(ValueError, match=r"line 3: odd\.mapping\.message\[0\]\.id: ") as caught:
        registry.parsers(text)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("headers.other", "the header 'other' is none of keep_headers, so this is always null"),
        ('item.a || headers."X-Event"', 'names of headers are in lower case: headers."x-event"'),
        ('item.list[?headers.other] || headers."x-event"', None),
        ("headers", None),
    ],
)
def test_header_that_is_always_null_is_told_by_the_check_and_keeps_nobody_from_starting(expression, complaint):
    text = "[odd]\nkeep_headers = ['X-Event']\n[odd.mapping]\n[[odd.mapping.message]]\nid = 'item.id'\n"
    text += f"contact = '''{expression}'''\n"
    told = registry.doubts(text, "f")
    assert told == ([f"f, line 6: odd.mapping.message[0].contact: {complaint}"] if complaint else [])
    assert registry.parsers(text).keys() == {"odd"}


@pytest.mark.parametrize(
    ("charset", "written"),
    [
        ("; charset=ISO-8859-1", "iso-8859-1"),
        (';charset="windows-1252"', "windows-1252"),
        ("; charset=utf-8", "utf-8"),
        ("; charset=utf-16", "utf-8"),
        ("; charset=base64", "utf-8"),
        ("; charset=raw-unicode-escape", "utf-8"),
        ("; charset=klingon", "utf-8"),
        ("", "utf-8"),
    ],
)
def test_form_is_read_in_the_charset_that_it_declares(monkeypatch, charset, written):
    mapping = "contact='item.c'\n[[odd.mapping.message]]\nid='item.id'\ntext='item.t'"
    monkeypatch.setitem(PARSERS, "odd", registry.parsers(f"[odd.mapping]\n{mapping}")["odd"])
    long = "Grüße " * 20
    body = urlencode({"c": "Jörg", "id": "1", "t": long}, encoding=written).encode()
    message = normalized("odd", body, content_type=FORM + charset).messages
    assert (message.source_contact_id, json.loads(message.reading)["text"]) == ("Jörg", long.strip())


@pytest.mark.parametrize(
    "expression", ["sort_by(item.list, &at)[0].at", "item.list[?at > `3`].{a: at}", "@", "'text'"]
)
def test_names_inside_of_projections_are_not_mistaken(expression):
    registry.parsers(f'[odd.mapping]\n[[odd.mapping.message]]\nid = "{expression}"\ncontact = "item.c"\n')


@pytest.mark.skipif(not FIXTURES.exists(), reason="needs the shared fixtures beside the checkout")
def test_receipt_of_the_viber_example_joins_its_message():
    received = normalized("viber", (FIXTURES / "custom" / "airy_viber_message_received.json").read_bytes())
    seen = normalized("viber", (FIXTURES / "custom" / "airy_viber_message_seen.json").read_bytes())
    assert received.messages.source_message_id == "4912661846655238145"
    assert received.contacts.display_name == "John McClane"
    assert seen.facts() == {"source.delivery_state": "seen"}
    assert seen.metadata.subject_id == received.messages.message_id
    assert seen.metadata.conversation_id == received.messages.conversation_id


def test_bytes_that_are_not_utf8_fail_the_item_that_has_them_and_no_other():
    broken = {"id": "1", "from": "u1", "text": "\ud800"}
    bot = BOTS["bots"][0] | {"x": "\ud800", "messages": [broken, *BOTS["bots"][0]["messages"]]}
    body = json.dumps(BOTS | {"bots": [bot]}, ensure_ascii=False).encode("utf-8", "surrogatepass")

    rows = normalized("bot", body)

    assert rows.dead_letters.pointer == "/bots/0/messages/0"
    assert {row.source_message_id for row in rows["messages"]} == {"4912661846655238145", "2"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "from", "at", "x"]), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.lists(VALUES), VALUES, st.booleans())
def test_no_input_escapes_and_good_items_survive(items, around, ascii_only):
    body = {"at": around, "bots": [{"bot_id": around, "x": around, "messages": items}, *BOTS["bots"]]}
    if isinstance(around, list):
        body["bots"] += around
    data = json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    rows = normalize(raw_event("bot", data))
    assert {"2", "3"} <= {getattr(row, "source_message_id", None) for row in rows}
    assert rows[0].dead_letters == sum(isinstance(row, DeadLetter) for row in rows)
    for row in rows:
        str(row).encode()
        assert not getattr(row, "content", None) or row.content.encode() in data


@settings(deadline=None)
@given(st.binary(), st.sampled_from(["viber", "bot", "gateway"]))
def test_no_bytes_escape(data, source):
    normalize(raw_event(source, data))
    normalize(raw_event(source, data, content_type="application/x-www-form-urlencoded"))


@pytest.mark.parametrize("body", [b' {"c":"k","id":"1&id=2"}', b'\xef\xbb\xbf{"c":"k","id":"1&id=2"}'])
def test_json_is_json_even_where_its_content_type_says_form(monkeypatch, body):
    monkeypatch.setitem(
        PARSERS,
        "odd",
        registry.parsers("[odd.mapping]\ncontact='item.c'\n[[odd.mapping.message]]\nid='item.id'")["odd"],
    )
    rows = normalized("odd", body, content_type=FORM)
    assert (rows.messages.source_message_id, rows.messages.content_type) == ("1&id=2", "application/json")

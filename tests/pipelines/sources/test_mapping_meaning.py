"""What a mapping can say of text, attachments and times, and what it costs."""

import datetime as dt
import gzip
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalized import normalized, raw_event

from pipelines.core.times import from_micros
from pipelines.sources import PARSERS, interpreter, readings, registry
from pipelines.sources.expressions import problems
from pipelines.sources.mapping import Mapped
from pipelines.sources.normalization import normalize
from pipelines.sources.readings import Reader
from schemas.mapping_tables import Attachment, BodyMapping, MessageRule

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def reading(monkeypatch):
    def reading(mapping, body, **attributes):
        monkeypatch.setitem(PARSERS, "odd", registry.parsers(f"[odd.mapping]\n{mapping}")["odd"])
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return normalized("odd", data, **attributes)

    return reading


def filled(message):
    """The reading with its places filled in, as the view does it."""
    pieces = message.reading.split("|")
    for at in range(1, len(pieces), 2):
        start, length = map(int, pieces[at].split(":"))
        pieces[at] = message.content[start - 1 : start - 1 + length]
    return json.loads("".join(pieces))


TEXT = "contact='item.c'\n[[odd.mapping.message]]\nid='item.id'\n"
MEDIA = (
    TEXT
    + """
    text = "item.m.words || item.m.caption"
    choice = "item.m.button"
    reply_to = "item.m.answers"
    [[odd.mapping.message.attachments]]
    each = "item.m.photos"
    type = "'image'"
    url = "attachment.href"
    name = "attachment.file"
    caption = "item.m.caption"
    [[odd.mapping.message.attachments]]
    when = "item.m.place"
    type = "'location'"
    name = "item.m.place.title"
    """
)


def test_text_and_attachments_are_places_in_the_content(reading):
    media = {"caption": 'Ä "🚀" a/b', "photos": [{"href": "https://a.example/1|2", "file": "x"}, {"href": "h2"}]}
    message = reading(MEDIA, {"c": "c", "id": 1, "m": media | {"answers": 7, "button": "B"}}).messages
    assert 'Ä "🚀"' not in message.reading
    assert filled(message) == {
        "text": 'Ä "🚀" a/b',
        "postbackData": "B",
        "context": {"id": "7"},
        "attachments": [
            {"type": "image", "url": "https://a.example/1|2", "filename": "x", "caption": 'Ä "🚀" a/b'},
            {"type": "image", "url": "h2", "caption": 'Ä "🚀" a/b'},
        ],
    }


def test_what_is_not_there_is_not_read(reading):
    assert filled(reading(MEDIA, {"c": "c", "id": 1, "m": {"words": ""}}).messages) == {}
    place = {"place": {"title": "Here"}}
    assert filled(reading(MEDIA, {"c": "c", "id": 1, "m": place}).messages) == {
        "attachments": [{"type": "location", "filename": "Here"}]
    }
    assert reading(TEXT, {"c": "c", "id": 1}).messages.reading is None


@pytest.mark.parametrize(
    "written",
    [rb'"a\/b \u00e4"', rb'"a/b \u00E4"', '"a/b ä"'.encode(), rb'"\u0061/b \u00e4"', rb'"a\u002fb \u00e4"'],
)
def test_text_is_found_however_it_is_escaped(reading, written):
    body = b'{"c":"c","id":1,"x":"\xf0\x9f\x9a\x80","m":{"words":' + written + b"}}"
    message = reading(MEDIA, body).messages
    assert message.reading == f'{{"text":|38:{len(written.decode())}|}}'
    assert filled(message) == {"text": "a/b ä"}


def test_what_is_joined_is_written_out(reading):
    message = reading(
        TEXT + "text=\"join('|', [item.a, item.b])\"", {"c": "c", "id": 1, "a": "1", "b": 2}
    ).messages
    assert message.reading == '{"text":"1\\u007c2"}'
    assert filled(message) == {"text": "1|2"}


def test_content_is_read_once_for_all_texts_that_are_not_in_it(monkeypatch):
    class Counting:
        passes = 0

        def finditer(self, content):
            self.passes += 1
            return iter(())

    counting = Counting()
    monkeypatch.setattr(readings, "_TOKEN", counting)
    attachments = [{"url": f"https://e.example/{n}?a&b", "filename": f"{n}<"} for n in range(100)]
    Reader(b'["\\u0041"]', is_json=True).reading("text", attachments=attachments)
    assert counting.passes == 1


def test_text_of_a_form_is_written_out(reading):
    body = urlencode({"c": "c", "id": "1", "t": "Grüße & mehr"}).encode()
    message = reading(TEXT + "text='item.t'", body, content_type=FORM).messages
    assert json.loads(message.reading) == {"text": "Grüße & mehr"}


@settings(deadline=None)
@given(st.text(), st.text(), st.booleans())
def test_every_text_is_read_as_it_was(text, other, ascii_only):
    content = json.dumps({"x": other, "t": text, "y": text + other}, ensure_ascii=ascii_only)
    data = content.encode("utf-8", "surrogatepass")
    try:
        content = data.decode()
    except UnicodeDecodeError:
        return
    reading = Reader(data, is_json=True).reading(text)
    pieces = reading.split("|")
    for at in range(1, len(pieces), 2):
        start, length = map(int, pieces[at].split(":"))
        pieces[at] = content[start - 1 : start - 1 + length]
    assert json.loads("".join(pieces)).get("text", "") == text


@pytest.mark.parametrize("digits", [9, 3_999, 4_000, 5_000])
def test_number_of_no_character_in_html_is_one_that_cannot_be_shown(reading, digits):
    body = {"c": "c", "id": 1, "t": f"a&#{'9' * digits};b"}
    message = reading(TEXT + "text='plain_text(item.t)'", body).messages
    assert filled(message) == {"text": "a\ufffdb"}


def test_ancestors_have_the_names_of_their_keys(reading):
    mapping = """
        items = "/pages/*/thread/notes/*"
        contact = "ancestor.pages.who"
        channel = "body.shop"
        [[odd.mapping.message]]
        id = "join(':', [ancestor.thread.id, item.n])"
    """
    body = {"shop": "s", "pages": [{"who": "k", "thread": {"id": "t", "notes": [{"n": 1}]}}]}
    rows = reading(mapping, body)
    assert rows.messages.source_message_id == "t:1"
    assert rows.contacts.source_contact_id == "k"
    assert rows.channels.source_channel_id == "s"


def test_whole_body_is_the_body_too(reading):
    assert reading("contact='body.c'\n[[odd.mapping.message]]\nid='body.id'", {"c": "k", "id": 1}).contacts


def test_pointer_leads_into_a_text_that_holds_json(reading):
    mapping = "items='/data/messages/*'\ncontact='parent.u'\n[[odd.mapping.message]]\nid='item.id'\ntext='item.t'"
    inner = '{"u": "u1", "messages": [{"id": 1, "t": "é"}]}'
    message = reading(mapping, {"data": inner}).messages
    assert (message.content, message.pointer) == ('{"id": 1, "t": "é"}', "/data/messages/0")
    assert filled(message) == {"text": "é"}
    assert reading(mapping, {"data": "{no"}).events.outcome == "ignored"


def test_text_that_only_looks_like_json_is_a_text(reading):
    mapping = "items='/t'\n[[odd.mapping.metadata]]\nsubject='channel'\nkey='said'\nvalue='item'"
    assert reading(mapping, {"t": "[hi]"}).facts() == {"said": "[hi]"}


def test_json_in_a_text_is_read_by_a_function(reading):
    mapping = TEXT + "text='from_json(item.p).t'"
    assert filled(reading(mapping, {"c": "c", "id": 1, "p": '{"t": "hi"}'}).messages) == {"text": "hi"}
    for broken in ("{", None, '"\\ud800"', "[" * 5000):
        assert filled(reading(mapping, {"c": "c", "id": 1, "p": broken}).messages) == {}


def test_json_in_base64_is_read_by_functions(reading):
    mapping = TEXT + "text='from_json(from_base64(item.p)).t'"
    for spelt in ("eyJ0IjoiR3LDvMOfZSJ9", "eyJ0IjoiR3LDvMOfZT8-In0=", "eyJ0IjoiR3LDvMOfZT8+In0"):
        assert filled(reading(mapping, {"c": "c", "id": 1, "p": spelt}).messages)["text"][:5] == "Grüße"
    for broken in ("e", "{", None, "/w==", "ä"):
        assert filled(reading(mapping, {"c": "c", "id": 1, "p": broken}).messages) == {}


@pytest.mark.parametrize(
    ("expression", "gives"),
    [
        ("item.t[-1:] | [0]", "c"),
        ("join('', item.t[::-1])", "cba"),
        ("join('', (item.t[1:])[?@ != 'c'])", "b"),
        ("item.n[:1].x | [0]", "d"),
    ],
)
def test_slices_are_read(reading, expression, gives):
    mapping = TEXT + f'text="""{expression}"""'
    body = {"c": "c", "id": 1, "t": ["a", "b", "c"], "n": [{"x": "d"}]}
    assert filled(reading(mapping, body).messages) == {"text": gives}


def test_plain_text_of_markup(reading):
    markup = "<p>Hello &amp; <b>welcome</b></p><p>1 &lt; 2<br/>x</p>"
    mapping = TEXT + "text='plain_text(item.t)'"
    assert filled(reading(mapping, {"c": "c", "id": 1, "t": markup}).messages) == {
        "text": "Hello & welcome\n1 < 2\nx"
    }


def test_functions_of_nothing_give_nothing(reading):
    mapping = TEXT + "kind=\"starts_with(item.k, 'x') && 'x' || to_string(item.none)\""
    assert reading(mapping, {"c": "c", "id": 1}).messages.kind == "message"
    assert "starts_with" in reading(mapping, {"c": "c", "id": 1, "k": 3}).dead_letters.error_message


@pytest.mark.parametrize(
    ("declared", "told", "sent_at"),
    [
        ("time_format='%d.%m.%Y %H:%M'", "22.11.2026 18:29", "2026-11-22T18:29:00+00:00"),
        ("time_format='%d.%m.%Y %H:%M'\ntime_offset='+09:00'", "22.11.2026 18:29", "2026-11-22T18:29:00+09:00"),
        ("time_format='%Y%m%d%H%M%S'", 20261122182900, "2026-11-22T18:29:00+00:00"),
        ("time_format='%a, %d %b %Y %H:%M:%S %z'", "Sun, 22 Nov 2026 18:29:00 -0500", "2026-11-22T18:29:00-05:00"),
    ],
)
def test_times_of_a_declared_form(reading, declared, told, sent_at):
    mapping = f"contact='item.c'\ntime='item.t'\n{declared}\n[[odd.mapping.message]]\nid='item.id'"
    message = reading(mapping, {"c": "c", "id": 1, "t": told}).messages
    moment = dt.datetime.fromisoformat(sent_at)
    assert (message.sent_at_from, from_micros(message.sent_at), message.sent_at_raw) == ("item", moment, str(told))
    unread = reading(mapping, {"c": "c", "id": 1, "t": "soon"}).messages
    assert (unread.sent_at_from, unread.sent_at_raw) == ("received", "soon")
    assert reading(mapping, {"c": "c", "id": 1}).messages.sent_at_raw is None


@pytest.mark.parametrize(("own", "hour"), [("", 9), ("time_offset='-01:00'", 19)])
def test_offset_of_the_mapping_holds_for_a_rules_own_form(reading, own, hour):
    mapping = f"""
        contact = "item.c"
        time = "item.t"
        time_format = "%d.%m.%Y %H:%M"
        time_offset = "+09:00"
        [[odd.mapping.message]]
        id = "item.id"
        time = "item.at"
        time_format = "%Y/%m/%d %H:%M"
        {own}
    """
    message = reading(mapping, {"c": "c", "id": 1, "at": "2026/11/22 18:29"}).messages
    assert from_micros(message.sent_at) == dt.datetime(2026, 11, 22, hour, 29, tzinfo=dt.UTC)


def test_what_was_sent_without_saying_to_whom_is_in_its_conversation(reading):
    mapping = """
        conversation = "item.thread"
        contact = "item.from"
        [[odd.mapping.message]]
        id = "item.id"
        from_contact = "item.from != `null`"
    """
    asked = reading(mapping, {"id": 1, "thread": "t", "from": "u"}).messages
    answered = reading(mapping, {"id": 2, "thread": "t"}).messages
    assert (answered.direction, answered.flags) == ("outbound", ("contact_assumed",))
    assert answered.conversation_id == asked.conversation_id
    assert reading(mapping, {"id": 2}).dead_letters.error_message == "contact gives nothing"


def test_sender_by_get_says_all_in_the_query(reading):
    message = reading(TEXT + "text='item.t'", b"", query="c=%2B49&id=7&t=a+b").messages
    assert (message.source_message_id, message.content, message.content_type) == ("7", "c=%2B49&id=7&t=a+b", FORM)
    assert json.loads(message.reading) == {"text": "a b"}


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("!item.x", "write !(item.x)"),
        ("item.a[::0]", "the step of a slice is not 0"),
        ("item.a && !item.b.c", "write !(item.x)"),
        ("item.a == true", "for true, write `true`"),
        ("item.a != null", "for null, write `null`"),
        ('item.a == "message"', "for a text, write 'message'"),
        ("item.n == 1", "a number stands in backticks: `1`"),
        ("item.n > 5", "a number stands in backticks: `5`"),
        ("item.a-b", 'double quotes: "a-b"'),
        ("item.a and item.b", "for and, write &&"),
        ("not item.a", "for not, write !"),
        ("item.a = 'x'", "to compare, write =="),
        ("item.'a b'", 'double ones: ."a b"'),
        ("attachment.url", "'attachment' is none of"),
        ("item." + "a" * 2000, "more than 2,000 characters"),
        ("(" * 900 + "item" + ")" * 900, "too deeply nested"),
    ],
)
def test_traps_of_the_grammar_are_explained_with_their_line(expression, hint):
    mapping = f"[odd.mapping]\n[[odd.mapping.message]]\nid = '''{expression}'''\ncontact = 'item.c'\n"
    with pytest.raises(ValueError, match=r"line 3: odd\.mapping\.message\[0\]\.id: ") as caught:
        registry.parsers(mapping)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    ["!(item.x)", "!item", "!contains(item.a, 'b') && item.b", "item.a == 'a-b and 1 = 2'", "!item[0]"],
)
def test_what_is_no_trap_is_taken(expression):
    registry.parsers(f"[odd.mapping]\n[[odd.mapping.message]]\nid = '''{expression}'''\ncontact = 'item.c'\n")


def test_wrong_expression_of_an_attachment_is_told_with_its_line():
    text = f"[odd.mapping]\n{TEXT}[[odd.mapping.message.attachments]]\nurl='attachment.a'\ntype='!item.x'\n"
    with pytest.raises(ValueError, match=r"line 7: odd\.mapping\.message\[0\]\.attachments\[0\]\.type: !"):
        registry.parsers(text)


DOUBLED = {
    "references": " | ".join(["[@, @]"] * 60),
    "lists": " | ".join(["[@, @][]"] * 60),
    "texts": " | ".join(["join('', [@, @])"] * 60),
    "objects": " | ".join(["{a: @, b: @}"] * 60),
    "written": " | ".join(["[@, @]"] * 40) + " | to_string(@)",
}


@pytest.mark.parametrize("expression", DOUBLED.values(), ids=DOUBLED)
def test_expression_that_would_never_end_is_a_dead_letter(reading, monkeypatch, expression):
    monkeypatch.setattr(interpreter, "MOST_STEPS", 200_000)
    rows = reading(
        f"contact='item.c'\n[[odd.mapping.message]]\nid=\"item.id | {expression}\"", {"c": "c", "id": "1"}
    )
    assert rows.dead_letters.error_class == "TooMuchError"
    assert "steps of expressions" in rows.dead_letters.error_message


def test_steps_are_counted_for_the_whole_event(reading, monkeypatch):
    monkeypatch.setattr(interpreter, "MOST_STEPS", 1_000)
    mapping = "items='/m/*'\ncontact='item.c'\n[[odd.mapping.message]]\nid='item.id'"
    assert len(reading(mapping, {"m": [{"c": "c", "id": n} for n in range(20)]})["messages"]) == 20
    assert reading(mapping, {"m": [{"c": "c", "id": n} for n in range(500)]}).events.outcome == "failed"


NAMES = st.sampled_from(
    ["item", "item.a", "ancestor.m", "body", "query.x", "headers", "@", "`1`", "'a'", "`null`"]
)
EXPRESSIONS = st.recursive(
    NAMES,
    lambda inner: st.one_of(
        st.builds("{} || {}".format, inner, inner),
        st.builds("({} && {})".format, inner, inner),
        st.builds("{} == {}".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("[{}, {}][]".format, inner, inner),
        st.builds("{{a: {}, b: {}}}".format, inner, inner),
        st.builds("({})[*].a".format, inner),
        st.builds("({})[?a == `1`] | [0]".format, inner),
        st.builds("join('-', {})".format, inner),
        st.builds(
            "{}({})".format,
            st.sampled_from(["to_string", "from_json", "from_base64", "plain_text", "length", "keys"]),
            inner,
        ),
        st.builds("({}) | ({})".format, inner, inner),
        st.builds("sort_by({}, &a)".format, inner),
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "m"]), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(EXPRESSIONS, EXPRESSIONS, VALUES)
def test_no_expression_and_no_input_escapes(one, other, value):
    attachment = Attachment(each=one, url=other)
    rule = MessageRule(text=other, time=other, contact=one, attachments=(attachment,))
    mapping = BodyMapping(items="/m/*", message=(rule,))
    if list(problems(mapping)):
        return
    data = json.dumps({"m": [value, value]}).encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(PARSERS, "odd", Mapped("odd", mapping).parse)
        for event in (raw_event("odd", data, query="x=1"), raw_event("odd", b"m=1&a=2", content_type=FORM)):
            for row in normalize(event):
                str(row).encode()


def test_compressed_body_is_read_and_its_bytes_counted_as_they_came(reading):
    mapping = TEXT + "text='item.t'"
    sent = gzip.compress(json.dumps({"c": "c", "id": 1, "t": "Grüße"}).encode())
    rows = reading(mapping, sent, content_encoding="gzip")
    assert filled(rows.messages) == {"text": "Grüße"}
    assert rows.events.body_bytes == len(sent)


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        (gzip.compress(b"{}", mtime=0)[:-3], "cut off"),
        (gzip.compress(b" " * 40_000_000, mtime=0), "more than"),
    ],
)
def test_compressed_body_that_cannot_be_read_is_a_dead_letter(reading, sent, what):
    rows = reading(TEXT, sent, content_encoding="gzip")
    assert what in rows.dead_letters.error_message
    assert rows.dead_letters.error_class == "EncodingError"


def in_parts(*parts, boundary="XX"):
    lines = [f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n" for head, value in parts]
    return ("".join(lines) + f"--{boundary}--\r\n").encode()


@pytest.mark.parametrize("declared", ["boundary=XX", 'charset=utf-8; Boundary="XX"'])
def test_form_in_parts_is_an_item_with_its_fields(reading, declared):
    body = in_parts(('name="c"', "u&1"), ('name="id"', "7"), ('name="t"', "Grüße\r\n--XY"), ('name="c"', "other"))
    rows = reading(TEXT + "text='item.t'", body, content_type=f"multipart/form-data; {declared}")
    assert rows.contacts.source_contact_id == "u&1"
    assert (rows.messages.source_message_id, rows.messages.content_type) == ("7", "multipart/form-data")
    assert filled(rows.messages) == {"text": "Grüße\r\n--XY"}


def test_file_in_parts_is_its_name_and_json_in_parts_is_read(reading):
    file = 'name="f"; filename="a.png"'
    body = in_parts(('name="p"', '{"c":"c","id":9}'), (file, "x"))
    mapping = "items='/p'\ncontact='item.c'\n[[odd.mapping.message]]\nid='item.id'\nkind='parent.f'"
    message = reading(mapping, body, content_type="multipart/form-data; boundary=XX").messages
    assert (message.source_message_id, message.kind, message.content) == ("9", "a.png", '{"c":"c","id":9}')


def test_names_in_parts_need_no_quotes_and_are_those_of_fields(reading):
    # As .NET's MultipartFormDataContent writes it; names of other headers are none of fields.
    typed = '--XX\r\nContent-Type: text/plain; name="t"\r\nContent-Disposition: form-data; name=c\r\n\r\nu1\r\n'
    rest = in_parts(("name=id", "7"), ('filename="a; name=t.png"; name=t', "x"))
    message = reading(
        TEXT + "text='item.t'", typed.encode() + rest, content_type='multipart/form-data; boundary="XX"'
    )
    assert message.contacts.source_contact_id == "u1"
    assert (message.messages.source_message_id, filled(message.messages)) == ("7", {"text": "a; name=t.png"})


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ('name="t"; filename="a\\"; name=c; \\"b.png"', 'a"; name=c; "b.png'),
        ('name="t"; filename="a"; name=c; "b.png"', "a"),
        ('name="t";\r\n filename="a b.png"', "a b.png"),
        ('filename="a b.png";\r\n\tname="t"', "a b.png"),
    ],
)
def test_whoever_names_a_file_names_no_field(reading, head, text):
    body = in_parts((head, "x"), ('name="c"', "u1"), ('name="id"', "7"))
    rows = reading(TEXT + "text='item.t'", body, content_type="multipart/form-data; boundary=XX")
    assert (rows.contacts.source_contact_id, filled(rows.messages)) == ("u1", {"text": text})


@pytest.mark.parametrize(
    ("body", "kind", "what"),
    [
        (b"--XX", "multipart/form-data", "without a boundary"),
        (in_parts(*[('name="a"', "")] * 600), "multipart/form-data; boundary=XX", "more than 500 parts"),
        (in_parts(('name="c"', "c")) + b"\xff", "multipart/form-data; boundary=XX", "utf-8"),
    ],
)
def test_form_in_parts_that_cannot_be_read_is_a_dead_letter(reading, body, kind, what):
    assert what in reading(TEXT, body, content_type=kind).dead_letters.error_message


@settings(deadline=None)
@given(
    st.binary() | st.lists(st.tuples(st.text(), st.text())).map(lambda parts: in_parts(*parts).replace(b"?", b""))
)
def test_no_parts_escape(body):
    rule = MessageRule(contact="item.c || 'c'", text="item.*| [0]")
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(PARSERS, "odd", Mapped("odd", BodyMapping(message=(rule,))).parse)
        for row in normalize(raw_event("odd", body, content_type="multipart/form-data; boundary=XX")):
            str(row).encode()

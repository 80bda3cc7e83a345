"""Who answered, to whom conversations passed, and what contacts thought of it."""

import json

import pytest
from webhooks import (
    PHONE,
    ask,
    asks,
    at,
    desk,
    echo,
    event,
    fact,
    meta,
    replied,
    says,
    seconds,
    shop,
    tell,
    whatsapp,
)

pytestmark = pytest.mark.thorough

BOT, INBOX, INSTAGRAM = 9007199254740993, "263902037430900", "1217981644879628"


def name(analyst, *rows):
    analyst.insert("actor_names", f"(source, actor_id, kind, name) VALUES {', '.join(rows)}")


def actors(analyst):
    return ask(
        analyst,
        "SELECT actor_kind, actor_id, actor_name, known_by FROM parley.actors ORDER BY sent_at, message_id",
    )


def test_an_echo_is_by_its_app_or_from_the_inbox(analyst):
    name(analyst, f"(NULL, '{BOT}', 'bot', 'Helper')", f"('facebook', '{BOT}', 'system', 'Mailer')")
    tell(
        analyst,
        says(0),
        echo(1, app_id=BOT),
        echo(2),
        echo(3, app_id=int(INBOX)),
        echo(4, app_id=17),
        echo(5, "instagram", app_id=str(BOT)),
        echo(6, "instagram"),
        echo(7, "instagram", app_id=int(INSTAGRAM)),
    )

    assert actors(analyst) == [
        ("system", str(BOT), "Mailer", "app"),
        ("human", None, "Page inbox", "inbox"),
        ("human", INBOX, "Page inbox", "app"),
        (None, "17", None, None),
        ("bot", str(BOT), "Helper", "app"),
        (None, None, None, None),
        ("human", INSTAGRAM, "Instagram inbox", "app"),
    ]


def test_whoever_has_a_conversation_since_it_was_passed_answers_what_says_nothing(analyst):
    name(analyst, f"(NULL, '{BOT}', 'bot', 'Helper')")
    passed = {"new_owner_app_id": BOT, "previous_owner_app_id": INBOX, "metadata": "too hard"}
    tell(
        analyst,
        meta(0, "instagram", pass_thread_control=passed),
        echo(1, "instagram"),
        meta(2, "instagram", take_thread_control={"previous_owner_app_id": BOT, "new_owner_app_id": INBOX}),
        # At the very time of a handover it is the next one who answers.
        echo(2, "instagram"),
        echo(3, "instagram"),
        echo(-1, "instagram"),
    )

    assert actors(analyst) == [
        (None, None, None, None),
        ("bot", str(BOT), "Helper", "handover"),
        ("human", INBOX, "Page inbox", "handover"),
        ("human", INBOX, "Page inbox", "handover"),
    ]
    found = ask(analyst, "SELECT kind, handed_at, to_kind, from_id, note FROM parley.handovers ORDER BY handed_at")
    assert found == [("passed", at(0), "bot", INBOX, "too hard"), ("taken", at(2), "human", str(BOT), None)]


def test_a_handover_to_somebody_without_a_name_hides_no_sender_who_has_one(analyst):
    name(analyst, "('shop-app', 'desk', 'human', 'The desk')")
    tell(
        analyst,
        shop(0, metadata=[fact(0, "conversation", "order-1", handover={"to": "sales"})]),
        shop(1, [desk(1, "d1", ours=True)]),
        meta(2, "instagram", pass_thread_control={"new_owner_app_id": BOT}),
        echo(3, "instagram"),
    )

    # What has no sender is by whom it was passed to: an id to give a name to.
    assert actors(analyst) == [("human", "desk", "The desk", "sender"), (None, str(BOT), None, None)]


def test_a_reply_a_custom_source_and_a_business_app_say_it_themselves(analyst):
    sent = {
        "id": "wamid.e",
        "from": "1",
        "to": PHONE,
        "timestamp": seconds(3),
        "type": "text",
        "text": {"body": "!"},
    }
    told = {"actor": {"kind": "Bot", "id": "b-1", "name": "Nightly"}}
    tell(
        analyst,
        replied(4, "r", kind="human", id="anna", name="Anna"),
        shop(
            1,
            [desk(1, "d1", ours=True), desk(2, "d2", ours=True), desk(2, "d3")],
            [fact(1, "message", "d1", **told)],
        ),
        whatsapp(3, "smb_message_echoes", message_echoes=[sent]),
    )
    name(analyst, "('shop-app', 'desk', 'human', 'The desk')")

    assert actors(analyst) == [
        ("bot", "b-1", "Nightly", "source"),
        ("human", "desk", "The desk", "sender"),
        ("human", "1", "WhatsApp Business app", "business app"),
        ("human", "anna", "Anna", "reply"),
    ]


def test_a_person_who_is_asked_for_is_a_handover_requested(analyst):
    asked = {"requestedLiveAgent": True, "createTime": "2026-03-02T12:00:00Z"}
    body = json.dumps({"agent": "a", "conversationId": "c", "userStatus": asked}).encode()
    value = {"recipient": {"phone_number_id": "77"}, "sender": {"phone_number": PHONE}, "timestamp": seconds(1)}
    tell(
        analyst,
        event(0, "google", body),
        whatsapp(1, "messaging_handovers", **value, control_passed={"metadata": "Sales"}),
    )

    found = ask(analyst, "SELECT source, kind, to_kind, note FROM parley.handovers ORDER BY handed_at")
    assert found == [("google", "requested", "human", None), ("whatsapp", "passed", None, "Sales")]


def test_who_asks_for_no_person_is_handed_to_none(analyst):
    asked = {"requestedLiveAgent": False, "createTime": "2026-03-02T12:00:00Z"}
    body = json.dumps({"agent": "a", "conversationId": "c", "userStatus": asked}).encode()
    tell(analyst, event(0, "google", body))

    assert ask(analyst, "SELECT key, value FROM parley.metadata") == [("source.live_agent_requested", "false")]
    assert ask(analyst, "SELECT handover_id FROM parley.handovers") == []


def test_a_name_of_the_source_itself_says_to_whom_it_passed_a_conversation(analyst):
    name(analyst, "(NULL, '7', 'bot', 'Helper')", "('shop-app', '7', 'human', 'The desk')")
    tell(analyst, shop(1, metadata=[fact(1, "conversation", "order-1", handover={"to": "7"})]))

    found = ask(analyst, "SELECT kind, to_id, to_kind, to_name FROM parley.handovers")
    assert found == [("passed", "7", "human", "The desk")]


def survey(rating):
    answer = {"rating": rating, "createTime": "2026-03-02T12:00:00Z"}
    return {"agent": "a", "conversationId": "c", "surveyResponse": answer}


def form(minute, text):
    reply = {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": text}}
    return asks(minute, type="interactive", interactive=reply)


def test_ratings_of_every_source_are_on_one_scale(analyst):
    def feedback(kind, payload):
        question = {"type": kind, "payload": payload, "follow_up": {"type": "free_form", "payload": 'So "so"'}}
        return {"feedback_screens": [{"screen_id": 0, "questions": {"q1": question}}]}

    tell(
        analyst,
        meta(0, messaging_feedback=feedback("csat", "4")),
        meta(1, messaging_feedback=feedback("nps", "0")),
        form(2, '{"rating":"5","comment":"Gut!"}'),
        form(3, '{"size":"XL"}'),
        form(4, "no JSON"),
        shop(5, metadata=[fact(5, "conversation", "order-1", nps=9), fact(6, "contact", "customer-1", rating=11)]),
    )

    columns = "source, scale, answer, points, score, remark"
    found = ask(analyst, f"SELECT {columns} FROM parley.ratings ORDER BY rated_at")
    assert found == [
        ("facebook", "csat", "4", 4.0, 0.75, 'So "so"'),
        ("facebook", "nps", "0", 0.0, 0.0, 'So "so"'),
        ("whatsapp", "rating", "5", 5.0, 1.0, "Gut!"),
        ("shop-app", "nps", "9", 9.0, 0.9, None),
        # Nobody knows what eleven of five is.
        ("shop-app", "rating", "11", None, None, None),
    ]


@pytest.mark.parametrize(("word", "points"), [("VERY_POSITIVE", 5.0), ("NO", 1.0), ("PERHAPS", None)])
def test_words_of_google_are_points(analyst, word, points):
    tell(analyst, event(0, "google", json.dumps(survey(word)).encode()))

    assert ask(analyst, "SELECT scale, points FROM parley.ratings") == [("satisfaction", points)]

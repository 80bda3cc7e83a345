"""What a provider's answer means: only what it says itself counts as not sent."""

import datetime as dt
import json

import pytest

from pipelines.replies.answers import MAX_RETRY_SECONDS, Answer, read_answer

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def graph(status: int, code: int | None = None, **error: object) -> Answer:
    body = {"error": {"code": code, **error}} if code is not None else {}
    return read_answer("whatsapp", status, json.dumps(body).encode(), {}, NOW)


def twilio(status: int, code: int | None = None) -> Answer:
    return read_answer("twilio", status, json.dumps({"code": code}).encode(), {}, NOW)


@pytest.mark.parametrize(
    ("source", "status", "body", "identity"),
    [
        ("whatsapp", 200, {"messages": [{"id": "wamid.1"}]}, "wamid.1"),
        ("facebook", 200, {"recipient_id": "7", "message_id": "m_1"}, "m_1"),
        ("instagram", 200, {"message_id": "m_2"}, "m_2"),
        ("twilio", 201, {"sid": "SM1", "code": None}, "SM1"),
    ],
)
def test_what_has_an_id_was_accepted(source, status, body, identity):
    assert read_answer(source, status, json.dumps(body).encode(), {}) == Answer("accepted", identity)


def test_typing_and_seen_are_accepted_without_a_message():
    assert read_answer("facebook", 200, b'{"recipient_id": "7"}', {}) == Answer("accepted")
    assert read_answer("whatsapp", 200, b'{"success": true}', {}) == Answer("accepted")
    assert read_answer("whatsapp", 200, b'{"success": false}', {}).meaning == "in_doubt"


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"[]", b"\xff", b'{"messages": []}', b"[" * 100_000])
def test_success_without_an_id_is_in_doubt(body):
    assert read_answer("whatsapp", 200, body, {}).meaning == "in_doubt"
    assert read_answer("twilio", 201, body, {}).meaning == "in_doubt"


@pytest.mark.parametrize("status", [500, 502, 504, 408, 425])
def test_what_may_have_been_taken_is_in_doubt(status):
    assert graph(status).meaning == twilio(status).meaning == "in_doubt"


def test_errors_of_which_graph_itself_does_not_know_are_in_doubt():
    assert graph(500, 1).meaning == graph(400, 131000).meaning == "in_doubt"
    assert graph(500, 131000, is_transient=True).meaning == "in_doubt"


@pytest.mark.parametrize("code", [190, 102, 0])
def test_a_token_that_is_no_longer_good_stops_its_channel(code):
    answer = graph(400, code)
    assert (answer.meaning, answer.stops) == ("not_sent", True)
    assert graph(401).stops and twilio(401, 20003).stops


@pytest.mark.parametrize(
    ("source", "status", "error"),
    [
        # Of another account, or without a permission: "Object with ID … does not exist, cannot be loaded …".
        ("whatsapp", 400, {"code": 100, "error_subcode": 33, "type": "GraphMethodException"}),
        ("facebook", 400, {"code": 100, "error_subcode": 33}),
        # "API calls from the server require an appsecret_proof argument".
        ("instagram", 400, {"code": 100, "type": "GraphMethodException"}),
        # "Page restricted".
        ("facebook", 400, {"code": 10, "error_subcode": 1893063}),
        ("whatsapp", 400, {"code": 33}),
        ("whatsapp", 403, {"code": 10}),
        ("whatsapp", 403, {"code": 200}),
        ("whatsapp", 500, {"code": 3}),
        ("whatsapp", 403, {"code": 131005}),
        # Its number is not registered.
        ("whatsapp", 500, {"code": 131045}),
        ("whatsapp", 400, {"code": 133010}),
    ],
)
def test_a_token_that_does_not_reach_its_channel_stops_it(source, status, error):
    answer = read_answer(source, status, json.dumps({"error": error}).encode(), {})
    assert (answer.meaning, answer.stops) == ("not_sent", True)


@pytest.mark.parametrize(
    "error",
    [
        {"code": 10, "error_subcode": 2018278, "type": "OAuthException"},
        {"code": 200, "error_subcode": 1545041, "type": "OAuthException"},
        {"code": 100, "error_subcode": 2018001, "type": "OAuthException"},
    ],
)
def test_of_a_page_the_window_and_the_person_stop_nothing(error):
    answer = read_answer("facebook", 400, json.dumps({"error": error}).encode(), {})
    assert (answer.meaning, answer.stops) == ("refused", False)


@pytest.mark.parametrize("code", [4, 341, 130429, 80001, 80002, 80006, 80007])
def test_a_rate_holds_the_channel(code):
    answer = graph(400, code)
    assert (answer.meaning, answer.holds) == ("not_sent", True)
    assert (answer.retry_after or 0) > 0
    assert twilio(429, 20429).holds and graph(429).holds


@pytest.mark.parametrize(
    ("usage", "seconds"),
    [
        ('{"1001": [{"type": "messenger", "call_count": 100, "estimated_time_to_regain_access": 19}]}', 1140.0),
        ('{"1": [{"estimated_time_to_regain_access": 0}], "2": [{"estimated_time_to_regain_access": 2}]}', 120.0),
        ('{"1001": [{"estimated_time_to_regain_access": 1e9}]}', MAX_RETRY_SECONDS),
        ('{"1001": [{"estimated_time_to_regain_access": 0}]}', 60.0),
        ('{"1001": {}}', 60.0),
        ("soon", 60.0),
    ],
)
def test_a_quota_is_left_alone_for_as_long_as_graph_says_or_a_minute(usage, seconds):
    body = b'{"error": {"code": 80006}}'
    assert read_answer("facebook", 400, body, {"x-business-use-case-usage": usage}).retry_after == seconds
    assert read_answer("facebook", 400, body, {}).retry_after == 60.0
    # Throughput is counted by the second.
    throughput = b'{"error": {"code": 130429}}'
    assert read_answer("whatsapp", 400, throughput, {"x-business-use-case-usage": usage}).retry_after == 5.0


def test_the_rate_of_one_person_holds_nobody_else():
    answer = graph(400, 131056)
    assert (answer.meaning, answer.holds, answer.stops, answer.retry_after) == ("not_sent", False, False, 6.0)


@pytest.mark.parametrize(
    ("status", "code"), [(400, 131047), (400, 100), (403, 130497), (404, None), (400, 131026)]
)
def test_a_refusal_concerns_its_reply_only(status, code):
    answer = graph(status, code)
    assert (answer.meaning, answer.stops, answer.holds) == ("refused", False, False)
    assert answer.error_code == (str(code) if code else f"http_{status}")


def test_what_graph_calls_transient_is_tried_again():
    assert graph(400, 77_777, is_transient=True).meaning == "not_sent"
    assert graph(400, 77_777).meaning == "refused"
    # "Temporary send message failure. Please try again later."
    assert read_answer("facebook", 400, b'{"error": {"code": 1200}}', {}).meaning == "not_sent"
    assert graph(503, 2).meaning == graph(400, 131016).meaning == twilio(503, 20503).meaning == "not_sent"
    assert read_answer("twilio", 503, b"", {"retry-after": "2"}, NOW) == Answer("not_sent", None, "http_503", 2.0)


@pytest.mark.parametrize("source", ["facebook", "whatsapp", "twilio"])
def test_unavailable_by_a_proxys_word_alone_is_in_doubt(source):
    told = b"upstream connect error or disconnect/reset before headers. reset reason: connection termination"
    assert read_answer(source, 503, told, {}) == Answer("in_doubt", None, "http_503")
    assert graph(503, 1).meaning == twilio(503, 20500).meaning == "in_doubt"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        # No rate is over at once.
        ("0", 5.0),
        ("-3", 5.0),
        ("1e9", MAX_RETRY_SECONDS),
        ("inf", 5.0),
        ("nan", 5.0),
        ("soon", 5.0),
        ("Mon, 02 Mar 99999999999 12:00:09 GMT", 5.0),
        ("Mon, 02 Mar 2026 12:00:09 GMT", 9.0),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 5.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(header, seconds):
    answer = read_answer("twilio", 429, b"{}", {"retry-after": header}, NOW)
    assert answer.retry_after == seconds

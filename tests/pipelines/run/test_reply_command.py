"""`parley reply` posts what it is given, byte for byte, and says what went wrong."""

import json
import threading

import pytest
from click.testing import CliRunner
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from pipelines.run.reply_command import Whom, reply

WHOM = ["--source", "whatsapp", "--channel", "1003", "--to", "4915112345678"]


class Quiet(WSGIRequestHandler):
    def log_request(self, code="-", size="-"):
        pass


@pytest.fixture
def receiver():
    posted = []

    @Request.application
    def app(request):
        posted.append((dict(request.headers), request.get_data()))
        if request.headers.get("Authorization") != "Bearer good":
            return Response('{"error":"invalid_token","message":"No."}', 401, content_type="application/json")
        return Response('{"reply_id":"an-id"}', 202, content_type="application/json")

    server = make_server("127.0.0.1", 0, app, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.posted = posted
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(receiver, *arguments, token="good", **more):
    environ = {
        "PARLEY_PROJECT": "parley-test",
        "PARLEY_PUBLIC_URL": f"http://127.0.0.1:{receiver.port}",
        "PARLEY_REPLY_TOKEN": token,
    }
    return CliRunner().invoke(reply, arguments, env=environ, **more)


def test_posts_a_text_by_the_source_s_own_ids(receiver):
    result = run(receiver, *WHOM, "Grüße", "--as", "Anna", "--on-doubt", "send", "--key", "a-key")

    assert (result.exit_code, result.stdout) == (0, "an-id\n")
    ((headers, body),) = receiver.posted
    assert headers["Idempotency-Key"] == "a-key"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {
        "source": "whatsapp",
        "channel": "1003",
        "to": "4915112345678",
        "actor": {"kind": "human", "name": "Anna"},
        "on_doubt": "send",
        "content": {"text": "Grüße"},
    }


def test_posts_the_source_s_own_message_byte_for_byte(receiver):
    native = '{"type" : "text", "text":{"body":"\\u00e9"}}'

    assert run(receiver, *WHOM, "--content", "-", input=native).exit_code == 0
    assert native.encode() in receiver.posted[0][1]


def test_says_what_the_receiver_refuses(receiver):
    result = run(receiver, *WHOM, "Hi", token="bad")

    assert result.exit_code == 1
    assert "401: No." in result.stderr


def test_says_how_to_try_again_where_nobody_answers(receiver):
    receiver.shutdown()
    receiver.server_close()

    result = run(receiver, *WHOM, "Hi")

    assert result.exit_code == 1
    assert "--key" in result.stderr and "Idempotency-Key: " in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["Hi"], [*WHOM], [*WHOM, "Hi", "--content", "{}"], ["--conversation", "1", *WHOM, "Hi"], ["Hi", *WHOM[:4]]],
)
def test_what_is_not_said_or_said_twice_is_not_posted(receiver, arguments):
    assert run(receiver, *arguments).exit_code == 2
    assert not receiver.posted


def test_a_conversation_may_come_from_a_file_with_other_line_ends(receiver, monkeypatch):
    asked = []
    whom = Whom("whatsapp", "1003", "4915112345678")
    monkeypatch.setattr(
        "pipelines.run.reply_command._look_up", lambda conversation: asked.append(conversation) or whom
    )

    result = run(receiver, "--conversation", "3d9ac0d8-4d3c-5379-ab3d-4039da1f8ce2\r", "Hi")

    assert result.exit_code == 0
    assert asked == ["3d9ac0d8-4d3c-5379-ab3d-4039da1f8ce2"]

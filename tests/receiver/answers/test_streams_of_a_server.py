"""Streams of a receiver as operators run it: over sockets, beside webhooks, with visitors who leave."""

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator

import msgspec
import pytest
from receiver_server import Server, serving
from receiver_support import wait_until

from pipelines.local.pubsub import PubSubServer
from receiver.answers.conversations import conversation_key, open_conversations
from receiver.answers.entries import Entry
from tests.receiver.chatplugin.chat import SHOP, environ_of_a_chat

LIMIT = 2
LONG = msgspec.Raw(b'"' + 60_000 * b"x" + b'"')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("streams")
    with PubSubServer() as pubsub:
        environ = environ_of_a_chat(folder, CHATPLUGIN_STREAMS=str(LIMIT), WORKERS="1")
        environ |= {"PUBSUB_EMULATOR_HOST": pubsub.address, "NO_GCE_CHECK": "true"}
        with serving(environ, folder / "log") as server:
            server.archive = folder / "archive"
            yield server


def authenticate(server: Server) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Origin": SHOP}
    return json.loads(server.request("POST", "/chatplugin.authenticate", b'{"channel_id":"shop"}', **headers).body)


@contextlib.contextmanager
def streaming(server: Server, token: str) -> Iterator[http.client.HTTPResponse]:
    with contextlib.closing(server.connect()) as connection:
        headers = {"Origin": SHOP, "Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
        connection.request("GET", "/chatplugin.events", headers=headers)
        yield connection.getresponse()


def read_until(response: http.client.HTTPResponse, text: bytes) -> None:
    while text not in (line := response.readline()):
        assert line, "the stream has ended"


def test_an_answer_arrives_while_the_stream_is_open_and_who_leaves_makes_room(server: Server):
    opened = authenticate(server)
    key = conversation_key("shop", opened["conversation_id"])
    store = open_conversations(str(server.archive))
    with streaming(server, opened["token"]) as one, streaming(server, opened["token"]) as two:
        for stream in (one, two):
            read_until(stream, b"event: ready")
        store.append(key, Entry(id="first-answer", from_contact=False, sent_at=""))
        for stream in (one, two):
            read_until(stream, b"first-answer")
        with streaming(server, opened["token"]) as third:
            assert third.status == 503
        assert server.request("GET", "/__lbheartbeat__").status == 200

    def is_let_in() -> bool:
        with streaming(server, opened["token"]) as later:
            return later.status == 200

    wait_until(is_let_in, 20)


def test_a_receiver_that_is_told_to_end_does_not_wait_for_its_visitors(server: Server):
    opened = authenticate(server)
    wait_until(lambda: not is_full(server, opened["token"]), 20)
    with streaming(server, opened["token"]) as stream, reading_nothing(server):
        read_until(stream, b"event: ready")
        started = time.monotonic()

        server.terminate()

        assert stream.read() == b"data: {}\n\n"
    # It waits 25 seconds for what does not end, and kills it then.
    assert "Killing" not in server.log
    assert time.monotonic() - started < 20


@contextlib.contextmanager
def reading_nothing(server: Server) -> Iterator[None]:
    """Ask for a long conversation, and take nothing of it."""
    opened = authenticate(server)
    store, key = open_conversations(str(server.archive)), conversation_key("shop", opened["conversation_id"])
    for number in range(100):
        store.append(key, Entry(id=f"{number}", from_contact=False, sent_at="", content=LONG))
    with contextlib.closing(server.connect()) as connection:
        connection.connect()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        headers = {"Origin": SHOP, "Authorization": f"Bearer {opened['token']}"}
        connection.request("GET", "/chatplugin.events", headers=headers)
        # The head has come, and no more of it is read than this.
        assert connection.getresponse().status == 200
        yield


def is_full(server: Server, token: str) -> bool:
    with streaming(server, token) as stream:
        return stream.status == 503

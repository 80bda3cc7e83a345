"""A key that is read from Secret Manager, against stand-ins of Google's two servers."""

import base64
import datetime as dt
import json
import pickle
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import google.auth
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from google.api_core.exceptions import Forbidden, ServiceUnavailable
from google.oauth2.credentials import Credentials

from pipelines import launch
from pipelines.bigquery import secret, suppressed
from pipelines.bigquery.suppressed import Suppressed
from pipelines.bigquery.target import ConfigurationError, Target
from pipelines.core.suppression import CONTACT, Key
from pipelines.reprocess import job

NAME = "projects/parley-example/secrets/PARLEY_ERASURE_KEY"
VALUE = "a key of tests, and of nothing else in the world"


class SecretManager(BaseHTTPRequestHandler):
    """Answers as Secret Manager does."""

    answers: ClassVar[list[tuple[int, Any]]] = []
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        code, data = self.answers.pop(0)
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps({"name": self.path, "payload": {"data": data}}, indent=2).encode())

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    SecretManager.answers, SecretManager.asked = [], []
    monkeypatch.setattr(google.auth, "default", lambda scopes: (Credentials("ya29.c.abc"), "parley-example"))
    suppressed.forget_known()
    monkeypatch.setattr(suppressed, "_read", {})
    with ThreadingHTTPServer(("127.0.0.1", 0), SecretManager) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def told(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def test_the_latest_version_is_read_as_who_runs_it(api: str):
    SecretManager.answers = [(200, told(f"{VALUE}\n"))]

    assert secret.read(NAME, api) == VALUE
    assert SecretManager.asked == [(f"/v1/{NAME}/versions/latest:access", "Bearer ya29.c.abc")]


@pytest.mark.parametrize("answer", [(403, ""), (404, ""), (200, "*"), (200, 5), (200, "/w==")])
def test_what_cannot_be_read_says_so_and_not_what_it_was(api: str, answer: tuple[int, Any]):
    SecretManager.answers = [answer]

    with pytest.raises(ConfigurationError, match=r"KEY/versions/latest (cannot be read: 40|is not text)"):
        secret.read(NAME, api)


@pytest.mark.parametrize("name", ["PARLEY_ERASURE_KEY", "projects/p/secrets/../x", f"{NAME}/versions/1:x", ""])
def test_a_name_is_a_name(name: str):
    with pytest.raises(ConfigurationError, match="is not projects/PROJECT/secrets/NAME"):
        secret.checked(name)


def test_a_key_is_asked_for_once_and_only_where_something_is_suppressed(api: str, monkeypatch: pytest.MonkeyPatch):
    key = Key(VALUE)
    until = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    row = {"kind": CONTACT, "hash": key.hash(CONTACT, "ann"), "key_id": key.id, "until": until}
    stored: list[dict[str, Any]] = []
    monkeypatch.setenv(suppressed.KEY, "another key, of whoever starts the job, that is not used")
    monkeypatch.setattr(suppressed, "client", nullcontext)
    monkeypatch.setattr(suppressed, "_valid", lambda warehouse, where: stored)
    monkeypatch.setattr(suppressed, "read", lambda name: secret.read(name, api))
    made = Suppressed(Target.prefixed("parley-example"), reference=NAME)
    assert VALUE.encode() not in pickle.dumps(made)
    assert b"another key" not in pickle.dumps(made)
    there: Suppressed = pickle.loads(pickle.dumps(made))

    assert there.read() is None
    assert SecretManager.asked == []
    stored.append(row)
    SecretManager.answers = [(503, ""), (200, told(VALUE))]
    # Secret Manager is away: rather nothing is stored than what was erased.
    with pytest.raises(ConfigurationError, match="503"):
        there.current()
    assert there.current() is not None
    assert there.read() is not None
    assert len(SecretManager.asked) == 2
    stored.append(row | {"key_id": "another"})
    with pytest.raises(ConfigurationError, match="people were erased with a key"):
        there.read()


@pytest.mark.parametrize("error", [ServiceUnavailable("away"), Forbidden("no tables.getData"), TimeoutError()])
def test_who_has_never_known_what_is_suppressed_makes_no_rows(error: Exception, monkeypatch: pytest.MonkeyPatch):
    """Tables may be unreadable to a worker that was just started, and take its rows."""
    key = Key(VALUE)
    until = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    row = {"kind": CONTACT, "hash": key.hash(CONTACT, "ann"), "key_id": key.id, "until": until}
    answers: list[Exception | list[dict[str, Any]]] = []

    def listed(warehouse: object, where: Target) -> list[dict[str, Any]]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(suppressed, "client", nullcontext)
    monkeypatch.setattr(suppressed, "_valid", listed)
    monkeypatch.setattr(suppressed, "_FIRST_PAUSE_SECONDS", 0.0)
    suppressed.forget_known()
    where = Target.prefixed("parley-example")

    answers[:] = [error]
    with pytest.raises(type(error)):
        Suppressed(where, VALUE, patience=0).current()
    # It waits for what passes.
    made = Suppressed(where, VALUE)
    answers[:] = [error, error, [row]]
    known = made.current()
    assert known is not None
    # What was known holds.
    monkeypatch.setattr(suppressed, "LOOKS_AGAIN_SECONDS", -1.0)
    answers[:] = [error]
    assert made.current() is known
    suppressed.forget_known()


def test_a_key_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """As every variable of secrets may: docs/configuration.md."""
    value, path = "0123456789abcdef" * 2, tmp_path / "key"
    path.write_text(f"{value}\n")
    monkeypatch.delenv("PARLEY_ERASURE_KEY", raising=False)
    monkeypatch.setenv("PARLEY_ERASURE_KEY_FILE", str(path))

    found = suppressed.key_from_environment()
    assert found is not None
    assert found.id == Key(value).id
    assert Suppressed(Target("a-project"))._secret == value
    monkeypatch.setenv("PARLEY_ERASURE_KEY", value)
    with pytest.raises(ConfigurationError, match="both set"):
        suppressed.key_from_environment()
    monkeypatch.delenv("PARLEY_ERASURE_KEY")
    path.write_text("\n")
    with pytest.raises(ConfigurationError, match="without a secret"):
        suppressed.key_from_environment()
    path.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        suppressed.key_from_environment()


def test_a_batch_job_takes_the_name_of_the_key_and_not_the_key(monkeypatch: pytest.MonkeyPatch):
    """Nobody sets a variable where a template starts; and what is staged of a job should not hold the key."""
    built: list[Suppressed] = []

    def build(_pipeline: Any, _reader: Any, _writer: Any, known: Suppressed) -> Any:
        built.append(known)
        raise LookupError

    monkeypatch.setenv("PARLEY_ERASURE_KEY", "0123456789abcdef" * 2)
    monkeypatch.setattr(job, "find_groups", lambda *_: [])
    monkeypatch.setattr(job, "build", build)
    name = "projects/a-project/secrets/PARLEY_ERASURE_KEY"
    given = ["--mode=batch", "--project=a-project", "--archive=gs://b/raw", "--output=gs://b/rows"]
    with pytest.raises(LookupError):
        launch.start(PipelineOptions([*given, "--dry_run=True", f"--erasure_key_secret={name}"]))

    (known,) = built
    assert (known._reference, known._secret) == (f"{name}/versions/latest", "")

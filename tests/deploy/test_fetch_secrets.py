"""The script that a receiver's machine runs before the receiver, against stand-ins of Google's two servers."""

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "terraform" / "machine" / "fetch-secrets.sh"
TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"

pytestmark = pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="needs bash and curl")


class Google(BaseHTTPRequestHandler):
    """Answers as the metadata server and Secret Manager do, each to who asks as they want it."""

    secrets: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        if self.path == TOKEN_PATH and self.headers["Metadata-Flavor"] == "Google":
            return self.answer({"access_token": "ya29.c.abc-_", "expires_in": 3599, "token_type": "Bearer"}, None)
        name = self.path.removeprefix("/v1/projects/parley-example/secrets/").removesuffix(
            "/versions/latest:access"
        )
        if self.headers["Authorization"] == "Bearer ya29.c.abc-_" and name in self.secrets:
            data = base64.b64encode(self.secrets[name].encode()).decode()
            # Secret Manager's answers are indented.
            return self.answer({"name": self.path, "payload": {"data": data, "dataCrc32c": "1"}}, 2)
        return self.send_error(404)

    def answer(self, body: dict[str, Any], indent: int | None) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body, indent=indent).encode())

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def google() -> Iterator[str]:
    Google.secrets = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Google) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def fetch(google: str, folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    owner = f"{os.getuid()}:{os.getgid()}"
    stand_ins = {"METADATA_URL": google, "SECRET_MANAGER_URL": google, "SECRETS_OWNER": owner}
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(
        ["bash", str(SCRIPT), "parley-example", str(folder), *names],
        env={**kept, **stand_ins},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_secrets_arrive_as_they_are_and_only_for_their_owner(google, tmp_path):
    Google.secrets = {"PARLEY_A": 'grüße, "two"\nlines/+=', "PARLEY_METRICS_TOKENS": "new, old\n"}
    done = fetch(google, tmp_path / "run", *Google.secrets)

    assert (done.returncode, done.stderr) == (0, "")
    for name, value in Google.secrets.items():
        assert (tmp_path / "run" / name).read_text("utf-8") == value
        assert (tmp_path / "run" / name).stat().st_mode & 0o077 == 0
    assert (tmp_path / "run" / "metrics-token").read_text() == "new"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "PARLEY_A",
        "PARLEY_METRICS_TOKENS",
        "metrics-token",
    ]


def test_a_secret_without_a_value_stops_the_start_and_is_named(google, tmp_path):
    Google.secrets = {"PARLEY_A": "a", "PARLEY_B": ""}

    assert fetch(google, tmp_path, "PARLEY_A", "PARLEY_B").returncode != 0
    done = fetch(google, tmp_path, "PARLEY_B")
    assert done.stderr == "the secret PARLEY_B is empty\n"


def test_a_secret_that_may_not_be_read_stops_the_start(google, tmp_path):
    done = fetch(google, tmp_path, "PARLEY_MISSING")

    assert done.returncode != 0
    assert "404" in done.stderr
    assert "the secret PARLEY_MISSING cannot be read" in done.stderr
    assert not (tmp_path / "PARLEY_MISSING").exists()


def test_secrets_that_are_there_stay_when_google_does_not_answer(google, tmp_path):
    Google.secrets = {"PARLEY_A": "a"}
    assert fetch(google, tmp_path, "PARLEY_A").returncode == 0
    Google.secrets = {}
    assert fetch(google, tmp_path, "PARLEY_A").returncode != 0

    assert (tmp_path / "PARLEY_A").read_text() == "a"

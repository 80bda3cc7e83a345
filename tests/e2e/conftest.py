"""The local stack, part by part, so that a test can kill one."""

import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from google.api_core.exceptions import GoogleAPICallError, RetryError

from pipelines.bigquery.target import Target, client
from pipelines.demo.samples import sign
from pipelines.local import environment, ready
from pipelines.local.environment import Ports
from pipelines.local.stack import commands

PATIENCE = 180.0


class Stack:
    """The processes that `parley run` starts, with its command lines and its environment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ports = Ports().freed()
        self.variables = environment.variables(folder, self.ports, environ={})
        Path(self.variables["PARLEY_ARCHIVE"]).mkdir(parents=True)
        self._commands = commands(folder, self.ports, "own")
        self._processes: dict[str, subprocess.Popen] = {}
        self.log = (folder / "stack.log").open("wb")

    def start(self, *names: str) -> None:
        for name in names:
            self._processes[name] = subprocess.Popen(
                self._commands[name],
                shell=True,
                env={**os.environ, **self.variables},
                stdout=self.log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Kill -9 a part and everything it has started."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for name in list(self._processes):
            self.kill(name)
        self.log.close()

    def post(self, body: bytes, signature: str | None = None) -> int:
        """Post a webhook to /facebook and return the status."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports.receiver}/facebook",
            data=body,
            headers={
                "Content-Type": "application/json",
                "X-Hub-Signature-256": signature or sign(body, self.variables["PARLEY_FACEBOOK_APP_SECRETS"]),
            },
        )
        return self._status(request)

    def announce(self, size: int) -> int:
        """Announce a body of a size to /facebook and return the status, without sending it."""
        connection = HTTPConnection("127.0.0.1", self.ports.receiver, timeout=30)
        with closing(connection):
            connection.putrequest("POST", "/facebook")
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            return connection.getresponse().status

    def get(self, path: str) -> int:
        return self._status(f"http://127.0.0.1:{self.ports.receiver}{path}")

    def post_all(self, bodies: list[bytes]) -> list[int]:
        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(self.post, bodies))

    def scalar(self, sql: str) -> int:
        """Return the one value of a query; `{views}` and `{rows}` stand for the datasets."""
        where = Target.prefixed(self.variables["PARLEY_PROJECT"])
        text = sql.format(views=where.views_dataset, rows=where.rows_dataset)
        ((value,),) = (row.values() for row in client(where).query(text).result())
        return int(value)

    def wait_until(self, sql: str, expected: int) -> None:
        ready.wait_for(f"{expected} from {sql}", lambda: self._count(sql) >= expected, PATIENCE)

    def _count(self, sql: str) -> int:
        """Return the value of a query; -1 while BigQuery does not answer."""
        try:
            return self.scalar(sql)
        except (GoogleAPICallError, RetryError, OSError):
            time.sleep(0.1)
            return -1

    def forget_pubsub(self) -> None:
        """Kill Pub/Sub and everything it keeps."""
        self.kill("pubsub")
        shutil.rmtree(self._folder / "pubsub")

    @staticmethod
    def _status(request) -> int:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that is complete and healthy."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.variables.items():
            patch.setenv(name, value)
        try:
            stack.start("pubsub", "bigquery", "receiver", "pipeline")
            ready.wait_for("the receiver", ready.receiver, PATIENCE)
            ready.wait_for("BigQuery", ready.bigquery, PATIENCE)
            stack.wait_until("SELECT COUNT(*) FROM {views}.messages", 0)
            yield stack
        finally:
            stack.close()

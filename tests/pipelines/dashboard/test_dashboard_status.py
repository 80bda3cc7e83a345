import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from dashboard_world import DashboardWorld

from pipelines.bigquery.target import ConfigurationError, Target
from pipelines.dashboard.app import create_app
from pipelines.dashboard.spool import TOKEN, Receiver, Spool, read
from pipelines.dashboard.status import DEFAULT_REFRESH, REFRESH, refresh_seconds
from pipelines.dashboard.warehouse import UnansweredError, Warehouse

pytestmark = pytest.mark.thorough

METRICS = """# TYPE parley_receiver_spool_events gauge
parley_receiver_spool_events{source="facebook"} 1200.0
parley_receiver_spool_events{source="twilio"} 34.0
# TYPE parley_receiver_spool_oldest_seconds gauge
parley_receiver_spool_oldest_seconds{source="facebook"} 90.5
parley_receiver_spool_oldest_seconds{source="twilio"} 3.0
"""


@contextmanager
def a_receiver(metrics: str) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = (self.path, self.headers["Authorization"]) == ("/metrics", "Bearer secret")
            self.send_response(200 if known else 401)
            self.send_header("Content-Type", "text/html" if "<" in metrics else "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(metrics.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Receiver(f"http://127.0.0.1:{server.server_port}", "secret")
        server.shutdown()
        thread.join()


def test_it_says_how_long_ago_the_last_webhook_came(world: DashboardWorld) -> None:
    (latest,) = world.query("SELECT MAX(received_at) AS at FROM parley.events")
    now = latest["at"] + dt.timedelta(minutes=3, seconds=2)
    text = create_app(world.warehouse, now=lambda: now).test_client().get("/panels/status").text
    assert "<strong>3\N{NO-BREAK SPACE}min 2\N{NO-BREAK SPACE}s ago</strong>" in text
    assert "spool" not in text
    later = create_app(world.warehouse, now=lambda: now + dt.timedelta(days=9)).test_client()
    assert "No webhook within two days" in later.get("/panels/status").text


def test_what_waits_in_the_receiver_is_said_where_bigquery_is_dead(world: DashboardWorld) -> None:
    def down() -> None:
        raise UnansweredError("BigQuery does not answer.", will_pass=True)

    dead = Warehouse(Target("some-project"), down)  # type: ignore[arg-type]
    with a_receiver(METRICS) as receiver:
        text = create_app(dead, receiver=receiver).test_client().get("/panels/status").text
        wrong = create_app(dead, receiver=Receiver(receiver.url, "other")).test_client().get("/panels/status").text
    assert "BigQuery does not answer." in text
    assert '<li class="bad"><strong>1\N{NARROW NO-BREAK SPACE}234</strong> events in the spool' in text
    assert "does not say what waits there" in wrong


def test_metrics_of_all_sources_are_taken_together() -> None:
    assert read(METRICS) == Spool(1234, 90.5, 0)
    assert read("") == Spool(0, 0.0, 0)
    with a_receiver("parley_receiver_spool_events none") as receiver:
        assert receiver.spool() is None
    assert receiver.spool() is None
    with a_receiver("<h1>Welcome</h1>") as elsewhere:
        assert elsewhere.spool() is None


def test_settings_are_checked() -> None:
    known = {TOKEN: "secret", "PARLEY_PUBLIC_URL": "https://a.example/,https://b.example"}
    assert Receiver.from_environment(known) == Receiver("https://a.example", "secret")
    assert Receiver.from_environment({}) is None
    assert "secret" not in repr(Receiver("https://a.example", "secret"))
    with pytest.raises(ConfigurationError, match="PARLEY_PUBLIC_URL"):
        Receiver.from_environment({TOKEN: "secret"})
    assert refresh_seconds({}) == DEFAULT_REFRESH
    assert refresh_seconds({REFRESH: "0"}) == 0
    with pytest.raises(ConfigurationError, match=REFRESH):
        refresh_seconds({REFRESH: "often"})

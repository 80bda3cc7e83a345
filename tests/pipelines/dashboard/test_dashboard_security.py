import hashlib
from importlib import resources

import pytest
from flask.testing import FlaskClient

from pipelines.bigquery.target import Target
from pipelines.dashboard.app import create_app
from pipelines.dashboard.warehouse import Warehouse


def unconnected() -> None:
    raise AssertionError("nothing is asked")


@pytest.fixture
def visitor() -> FlaskClient:
    return create_app(Warehouse(Target("some-project"), unconnected)).test_client()  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["127.0.0.1:8090", "localhost:8090", "localhost", "[::1]:8090", "[::1]"])
def test_this_hosts_names_are_answered(visitor: FlaskClient, host: str) -> None:
    assert visitor.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8090", "evil.example:80", "", "localhost.:1", "x@localhost"]
)
def test_a_name_that_was_rebound_to_this_host_is_refused(visitor: FlaskClient, host: str) -> None:
    for path in ("/", "/static/dashboard.js"):
        with visitor.get(path, headers={"Host": host}) as answer:
            assert answer.status_code in {400, 403}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_can_link_but_neither_embed_nor_fetch(visitor: FlaskClient, site: str) -> None:
    def answer(destination: str) -> int:
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": destination}
        return visitor.get("/", headers=headers).status_code

    assert answer("document") == 200
    assert {answer(each) for each in ("empty", "image", "iframe", "script")} == {403}


def test_every_answer_forbids_inline_script_other_hosts_and_frames(visitor: FlaskClient) -> None:
    for path in ("/", "/nowhere", "/?from=x", "/static/dashboard.css"):
        with visitor.get(path) as answer:
            headers = answer.headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert visitor.get("/").headers["Cache-Control"] == "no-store"


def test_nothing_can_be_written(visitor: FlaskClient) -> None:
    for rule in visitor.application.url_map.iter_rules():
        assert (rule.methods or set()) <= {"GET", "HEAD", "OPTIONS"}


def test_the_plotting_library_is_the_published_one() -> None:
    vendor = resources.files("pipelines.dashboard").joinpath("static/vendor")
    digest, name = vendor.joinpath("VENDORED.sha256").read_text("utf-8").split()
    assert hashlib.sha256(vendor.joinpath(name).read_bytes()).hexdigest() == digest
    assert "MIT License" in vendor.joinpath("LICENSE-chart.js.md").read_text("utf-8")

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat import Chat, chat

from pipelines.local.pubsub import PubSubServer

SCRIPT = "/chatplugin/ui/s.js"
LARGEST_COMPRESSED = 20_000


@pytest.fixture
def demo(pubsub: PubSubServer, tmp_path: Path) -> Iterator[Chat]:
    with chat(tmp_path, CHATPLUGIN_DEMO="shop") as opened:
        yield opened


def test_the_widget_is_small(demo: Chat):
    compressed = demo.client.get(SCRIPT, headers={"Accept-Encoding": "gzip, br"})

    assert compressed.headers["Content-Encoding"] == "gzip"
    assert 1_000 < len(compressed.data) < LARGEST_COMPRESSED
    assert gzip.decompress(compressed.data) == demo.client.get(SCRIPT).data


def test_the_widget_may_be_loaded_by_any_page_and_is_kept_for_minutes(demo: Chat):
    response = demo.client.get(SCRIPT, headers={"Accept-Encoding": "gzip"})

    assert response.content_type == "text/javascript; charset=utf-8"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.cache_control.public
    assert response.cache_control.max_age == 600
    assert "Accept-Encoding" in response.headers["Vary"]


def test_a_browser_that_has_the_widget_does_not_get_it_again(demo: Chat):
    tag = demo.client.get(SCRIPT).headers["ETag"]

    assert demo.client.get(SCRIPT, headers={"If-None-Match": tag}).status_code == 304
    assert demo.client.get(SCRIPT, headers={"If-None-Match": '"older"'}).status_code == 200


def test_the_demo_page_allows_nothing_from_elsewhere(demo: Chat):
    page = demo.client.get("/chatplugin/ui/")

    assert page.status_code == 200
    assert b'data-channel-id="shop"' in page.data
    assert b"{{" not in page.data
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    for asset in ("demo.css", "demo.js"):
        response = demo.client.get(f"/chatplugin/ui/{asset}")
        assert response.status_code == 200
        assert b"//" not in response.data.replace(b"// ", b"")


def test_without_a_demo_channel_there_is_no_demo_page(pubsub: PubSubServer, tmp_path: Path):
    with chat(tmp_path) as production:
        assert production.client.get(SCRIPT).status_code == 200
        for path in ("", "demo.css", "demo.js"):
            assert production.client.get(f"/chatplugin/ui/{path}").status_code == 404

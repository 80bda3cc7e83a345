"""The files that browsers load: the widget, and a page to try it on."""

import gzip
import hashlib
from importlib import resources
from typing import Final

from flask import Blueprint, Response, request

JAVASCRIPT: Final = "text/javascript; charset=utf-8"
CHANNEL_PLACEHOLDER: Final = b"{{channel_id}}"
WIDGET_CACHE: Final = "public, max-age=600, stale-while-revalidate=86400"
"""The widget's address never changes, so a new version must get through within minutes."""

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)


class Asset:
    """A file in memory, plain and compressed."""

    def __init__(self, body: bytes, content_type: str, headers: dict[str, str]) -> None:
        self._plain = body
        self._compressed = gzip.compress(body, mtime=0)
        self._tag = hashlib.sha256(body).hexdigest()[:16]
        self._content_type = content_type
        self._headers = {"X-Content-Type-Options": "nosniff"} | headers

    def answer(self) -> Response:
        """Return the file as the request wants it, or 304 where the browser has it already."""
        compressed = bool(request.accept_encodings["gzip"])
        response = Response(self._compressed if compressed else self._plain, content_type=self._content_type)
        response.headers.update(self._headers)
        if compressed:
            response.content_encoding = "gzip"
        response.set_etag(f"{self._tag}-gzip" if compressed else self._tag)
        response.vary.add("Accept-Encoding")
        response.make_conditional(request)
        return response


def add_routes(routes: Blueprint, demo_channel: str) -> None:
    """Serve the widget, and the page to try it on where a channel is given for it."""
    widget = Asset(
        _read("s.js"),
        JAVASCRIPT,
        {
            "Cache-Control": WIDGET_CACHE,
            # For pages that ask for isolation or check the script's hash.
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
        },
    )

    @routes.get("/chatplugin/ui/s.js")
    def script() -> Response:
        """Give the widget, which every page of a customer's web site loads."""
        return widget.answer()

    if not demo_channel:
        return
    fresh = {"Cache-Control": "no-cache", "Cross-Origin-Resource-Policy": "same-origin"}
    guarded = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Referrer-Policy": "same-origin",
    }
    html = _read("demo.html").replace(CHANNEL_PLACEHOLDER, demo_channel.encode())
    demo = {
        "": Asset(html, "text/html; charset=utf-8", fresh | guarded),
        "demo.css": Asset(_read("demo.css"), "text/css; charset=utf-8", fresh),
        "demo.js": Asset(_read("demo.js"), JAVASCRIPT, fresh),
    }
    for name, asset in demo.items():
        routes.add_url_rule(f"/chatplugin/ui/{name}", f"demo {name}".replace(".", " "), asset.answer)


def _read(name: str) -> bytes:
    return resources.files(__package__).joinpath("static", name).read_bytes()

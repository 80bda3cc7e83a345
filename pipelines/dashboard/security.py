"""Keeps the page to its user: this host's names only, no foreign pages, no script but its own, nothing cached."""

from flask import Flask, Response, abort, request

_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Content-Type-Options": "nosniff",
}


def init_app(app: Flask) -> None:
    """Guard every request and every response of an app."""
    app.before_request(_refuse_strangers)
    app.after_request(_harden)


def _refuse_strangers() -> None:
    """Refuse a page of elsewhere that a browser on this machine has open.

    A name that someone rebinds to 127.0.0.1 arrives as the Host; what another site embeds or fetches
    arrives with Sec-Fetch-Site. https://fetch.spec.whatwg.org/ and https://www.w3.org/TR/fetch-metadata/

    Raises:
        HTTPException: 403.
    """
    name, _, port = request.host.rpartition(":") if not request.host.endswith("]") else (request.host, "", "")
    if (name if port.isdigit() else request.host) not in _NAMES:
        abort(403, "This page answers to 127.0.0.1 and localhost only.")
    is_link = request.headers.get("Sec-Fetch-Dest") == "document"
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"} and not is_link:
        abort(403, "This page is not for other sites to use.")


def _harden(response: Response) -> Response:
    response.headers.update(_HEADERS)
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    if not request.path.startswith("/static/"):
        # What people wrote has no place in a browser's cache.
        response.headers["Cache-Control"] = "no-store"
    return response

"""The Flask app: configuration, sources and committers put together."""

from collections.abc import Mapping

from flask import Flask, Request, Response, abort, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.exceptions import HTTPException

from receiver import metrics, sources
from receiver.config import Config, ConfigError, Settings
from receiver.durable.committer import Committers
from receiver.operate import health
from receiver.replies import archive_keys
from receiver.web import intake
from schemas import tracing


def create_app(environ: Mapping[str, str]) -> Flask:
    """Return the receiver as its environment configures it.

    Nothing is started yet: threads and connections come with the first event, after any fork.

    Raises:
        ConfigError: a variable is missing or wrong.
    """
    settings = Settings(environ)
    config = Config.from_settings(settings)
    metrics_tokens = settings.secrets("METRICS_TOKENS")
    routes = list(sources.blueprints(settings))
    settings.check()

    app = Flask("receiver", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    # Forms are parsed to verify them: they may be as long as any body.
    app.config["MAX_FORM_MEMORY_SIZE"] = config.max_body_bytes
    app.session_interface = _NoSessions()
    app.register_error_handler(HTTPException, _answer_plainly)
    app.before_request(_require_length)
    committers = _committers(config, environ, app)
    intake.init_app(app, committers)
    health.init_app(app, config, committers)
    metrics.init_app(app, metrics_tokens, metrics.Gauges(lambda: health.gauges(config)))
    for blueprint in routes:
        app.register_blueprint(blueprint)
    return app


def _committers(config: Config, environ: Mapping[str, str], app: Flask) -> Committers:
    """Return what commits an app's events: with a trace of each where traces are asked for.

    Raises:
        ConfigError: they are asked for in a way that there is not.
    """
    try:
        if not tracing.is_on(environ):
            return Committers(config, archive_keys.keyring_of(config))
    except tracing.NotTracedError as error:
        raise ConfigError([str(error)]) from error
    # Here, so that nothing of it is loaded otherwise.
    from receiver.operate.tracing import TracedCommitters  # noqa: PLC0415

    traced = TracedCommitters(config, archive_keys.keyring_of(config))
    traced.init_app(app)
    return traced


class _NoSessions(SessionInterface):
    """Gives every request the same empty session: webhooks have none, and Flask would make each a new one."""

    _NONE = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """Return the session of no one."""
        return self._NONE


def _require_length() -> None:
    """Refuse chunked bodies: of those, nothing says whether they are whole, or too long.

    Granian ends a body that its sender has cut off like any other, and Werkzeug cuts a chunked body at
    the limit. No source of ours sends one.

    Raises:
        HTTPException: 411 for a body without Content-Length.
    """
    if "HTTP_TRANSFER_ENCODING" in request.environ:
        abort(411)


def _answer_plainly(error: HTTPException) -> Response:
    """Answer errors in one line of plain text: webhook senders are no browsers."""
    return Response(f"{error.name}\n", error.code, content_type="text/plain")

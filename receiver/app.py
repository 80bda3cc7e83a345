"""The Flask app: configuration, sources and committers put together."""

from collections.abc import Mapping

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from receiver import health, intake, metrics, sources
from receiver.committer import Committers
from receiver.config import Config, Settings


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
    app.register_error_handler(HTTPException, _answer_plainly)
    committers = Committers(config)
    intake.init_app(app, committers)
    health.init_app(app, config, committers)
    metrics.init_app(app, metrics_tokens, metrics.Gauges(lambda: health.gauges(config)))
    for blueprint in routes:
        app.register_blueprint(blueprint)
    return app


def _answer_plainly(error: HTTPException) -> Response:
    """Answer errors in one line of plain text: webhook senders are no browsers."""
    return Response(f"{error.name}\n", error.code, content_type="text/plain")

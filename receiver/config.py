"""The receiver's configuration: everything from the environment, checked before the first request."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

PREFIX: Final = "PARLEY_"
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
ARCHIVE_KEY: Final = "PARLEY_ARCHIVE_KEY"
ARCHIVE_KEYS: Final = "PARLEY_ARCHIVE_KEYS"
"""The settings of sealed archives: the operator's secret, and where data keys lie, wrapped with it."""
SHORTEST_SECRET: Final = 32
"""Characters of that secret at least."""
MIB: Final = 1024 * 1024
_BUCKET: Final = "gs://"
PUBSUB_MAX_EVENTS: Final = 1000
"""Messages in one publish request, https://cloud.google.com/pubsub/quotas#resource_limits."""
PUBSUB_MAX_BYTES: Final = 9_500_000
"""Bytes in one publish request: Pub/Sub's limit is 10 MB, less room for framing."""


class ConfigError(ValueError):
    """The environment does not configure a receiver; every problem names its variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings:
    """Reads `PARLEY_*` variables, collecting problems so that all are named at once.

    Names are given without the prefix. A variable that is set but empty counts as not set.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        """Return a variable's text, or the default where it is not set."""
        return self._environ.get(PREFIX + name, "").strip() or default

    def required(self, name: str, what: str) -> str:
        """Return a variable's text; where it is not set, note `what` it should hold."""
        value = self.text(name)
        if not value:
            self.problems.append(f"{PREFIX}{name} is not set: {what}")
        return value

    def number(self, name: str, default: float, minimum: float, maximum: float) -> float:
        """Return a number within [minimum, maximum]."""
        text = self.text(name)
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not minimum <= value <= maximum:
            self.problems.append(
                f"{PREFIX}{name} must be a number from {minimum:g} to {maximum:g}, not {text[:40]!r}"
            )
            return default
        return value

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """Return a whole number within [minimum, maximum]."""
        value = self.number(name, default, minimum, maximum)
        if value % 1:
            self.problems.append(f"{PREFIX}{name} must be a whole number, not {value}")
        return int(value)

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        """Return one of several words."""
        value = self.text(name, default)
        if value not in choices:
            self.problems.append(f"{PREFIX}{name} must be one of {', '.join(choices)}, not {value[:40]!r}")
            return default
        return value

    def names(self, name: str) -> frozenset[str]:
        """Return the words of a comma separated list."""
        return frozenset(_split(self.text(name)))

    def secrets(self, name: str) -> tuple[str, ...]:
        """Return secrets: a comma separated list, or the file that `<name>_FILE` names.

        Several are allowed so that one can be rotated while the other is still in use. A file
        may also hold one secret a line.
        """
        path = self.text(f"{name}_FILE")
        if not path:
            return _split(self.text(name))
        if self.text(name):
            self.problems.append(f"{PREFIX}{name} and {PREFIX}{name}_FILE are both set: keep one")
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{PREFIX}{name}_FILE cannot be read: {error}")
            return ()
        secrets = _split(text.replace("\n", ","))
        if not secrets:
            self.problems.append(f"{PREFIX}{name}_FILE names a file without a secret: {path}")
        return secrets

    def public_urls(self) -> tuple[str, ...]:
        """Return the base URLs by which the world reaches the receiver, the usual one first."""
        urls = tuple(url.rstrip("/") for url in _split(self.text("PUBLIC_URL")))
        for url in urls:
            if not _is_base_url(url):
                self.problems.append(
                    f"{PREFIX}PUBLIC_URL must be like https://parley.example.com, not {url[:80]!r}"
                )
        return urls

    def allows_unsigned(self, source: str) -> bool:
        """Say whether the operator takes a source's requests without a signature."""
        return source in self.names("ALLOW_UNSIGNED")

    def check(self) -> None:
        """Raise all problems so far.

        Raises:
            ConfigError: there are some.
        """
        if self.problems:
            raise ConfigError(self.problems)


class Limits(msgspec.Struct, frozen=True):
    """What the requests of a worker may take."""

    body_seconds: float = 60.0
    """How long a body may come."""
    body_budget_bytes: int = 64 * 1024 * 1024
    """What all bodies that are not whole yet may hold together."""
    requests: int = 1024
    """How many bodies may be under way."""
    connections: int = 2048
    header_seconds: float = 10.0
    """How long a request's headers may come."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver needs to know, apart from its sources (see `receiver.sources`)."""

    project: str
    archive: str
    data_dir: Path
    topic_prefix: str = "raw-"
    max_body_bytes: int = 4 * MIB
    group_events: int = 500
    group_seconds: float = 0.003
    queue_events: int = 256
    queue_bytes: int = 64 * MIB
    commit_seconds: float = 10.0
    publish_seconds: float = 1.0
    segment_bytes: int = 64 * MIB
    segment_seconds: float = 300.0
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    limits: Limits = Limits()
    keep_alive_seconds: int = 620
    shutdown_seconds: int = 25
    log_level: str = "INFO"
    archive_key: tuple[str, ...] = ()
    """The secrets that wrap the data keys of archived events; none where these are not sealed."""
    archive_keys: str = ""
    """Where data keys lie."""

    @classmethod
    def from_settings(cls, settings: Settings) -> "Config":
        """Read the configuration, leaving problems in the settings."""
        config = cls(
            project=settings.required("PROJECT", "the Google Cloud project of the Pub/Sub topics"),
            archive=settings.required("ARCHIVE", "a folder, gs://bucket/prefix, or none"),
            data_dir=Path(settings.required("DATA_DIR", "a folder on a durable local disk")),
            topic_prefix=settings.text("TOPIC_PREFIX", "raw-"),
            # A body and its attributes must fit into one publish request.
            max_body_bytes=settings.integer("MAX_BODY_BYTES", 4 * MIB, 1024, 9_000_000),
            group_events=settings.integer("GROUP_EVENTS", 500, 1, PUBSUB_MAX_EVENTS),
            group_seconds=settings.number("GROUP_SECONDS", 0.003, 0.0, 1.0),
            queue_events=settings.integer("QUEUE_EVENTS", 256, 1, 1_000_000),
            queue_bytes=settings.integer("QUEUE_BYTES", 64 * MIB, 1024, 1 << 40),
            commit_seconds=settings.number("COMMIT_SECONDS", 10.0, 0.1, 600.0),
            publish_seconds=settings.number("PUBLISH_SECONDS", 1.0, 0.01, 60.0),
            segment_bytes=settings.integer("SEGMENT_BYTES", 64 * MIB, 1024, 1 << 30),
            segment_seconds=settings.number("SEGMENT_SECONDS", 300.0, 1.0, 3600.0),
            host=settings.text("HOST", "127.0.0.1"),
            port=settings.integer("PORT", 8080, 0, 65535),
            workers=settings.integer("WORKERS", os.cpu_count() or 1, 1, 1024),
            limits=Limits(
                body_seconds=settings.number("BODY_SECONDS", 60.0, 0.1, 3600.0),
                body_budget_bytes=settings.integer("BODY_BUDGET_BYTES", 64 * MIB, 1024, 1 << 40),
                requests=settings.integer("REQUESTS", 1024, 1, 65536),
                connections=settings.integer("CONNECTIONS", 2048, 16, 65536),
                header_seconds=settings.number("HEADER_SECONDS", 10.0, 0.1, 3600.0),
            ),
            # Longer than a load balancer keeps its connections (Google's: 600 s): the one that closes
            # first must be the one that sends, or requests meet a closed connection.
            keep_alive_seconds=settings.integer("KEEP_ALIVE_SECONDS", 620, 1, 3600),
            shutdown_seconds=settings.integer("SHUTDOWN_SECONDS", 25, 1, 3600),
            log_level=settings.choice("LOG_LEVEL", "INFO", LOG_LEVELS),
            archive_key=settings.secrets("ARCHIVE_KEY"),
            archive_keys=settings.text("ARCHIVE_KEYS"),
        )
        if config.archive.startswith("gs://") and not config.archive[5:].strip("/"):
            settings.problems.append(f"{PREFIX}ARCHIVE names no bucket: {config.archive!r}")
        settings.problems += archive_key_problems(config.archive_key, config.archive_keys, config.archive)
        if config.archive_keys.startswith(_BUCKET) and not config.archive.startswith(_BUCKET):
            settings.problems.append(f"{ARCHIVE_KEYS} must be a folder where {PREFIX}ARCHIVE is one")
        return config

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Config":
        """Read and check the configuration.

        Raises:
            ConfigError: a variable is missing or wrong.
        """
        settings = Settings(environ)
        config = cls.from_settings(settings)
        settings.check()
        return config

    @property
    def archive_root(self) -> Path | None:
        """The local folder in which archive segments are written; None where there is no archive."""
        if self.archive == "none":
            return None
        if self.archive.startswith("gs://"):
            return self.data_dir / "archive"
        return Path(self.archive)

    @property
    def upload_root(self) -> Path | None:
        """The local folder whose closed segments go to a bucket; None where they stay."""
        return self.archive_root if self.archive.startswith("gs://") else None

    @property
    def local_keys(self) -> Path | None:
        """The local folder of data keys whose segments are not uploaded yet; None where the store is a folder."""
        return self.data_dir / "keys" if self.archive_keys.startswith(_BUCKET) else None

    @property
    def spool_root(self) -> Path:
        """The local folder of events that Pub/Sub has not confirmed yet."""
        return self.data_dir / "spool"


def archive_key_problems(secrets: Sequence[str], place: str, archive: str) -> list[str]:
    """Return what is wrong with the settings of a sealed archive, each with its name."""
    found = []
    if place and not secrets:
        found.append(f"{ARCHIVE_KEY} is not set: the secret that wraps the data keys in {ARCHIVE_KEYS}")
    if secrets and not place:
        found.append(f"{ARCHIVE_KEYS} is not set: a folder or gs://bucket/prefix for what {ARCHIVE_KEY} wraps")
    if any(len(secret) < SHORTEST_SECRET for secret in secrets):
        found.append(f"{ARCHIVE_KEY} must have {SHORTEST_SECRET} characters or more, each where there are several")
    if place.startswith(_BUCKET) and not place[len(_BUCKET) :].strip("/"):
        found.append(f"{ARCHIVE_KEYS} names no bucket: {place!r}")
    elif place and archive not in {"", "none"} and _is_within(place, archive):
        found.append(f"{ARCHIVE_KEYS} must not lie within the archive: a copy of that would have its keys")
    return found


def _is_within(place: str, root: str) -> bool:
    if place.startswith(_BUCKET) or root.startswith(_BUCKET):
        return f"{place.rstrip('/')}/".startswith(f"{root.rstrip('/')}/")
    return Path(place).resolve().is_relative_to(Path(root).resolve())


def _split(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not (parts.query or parts.fragment)

"""Custom sources, one endpoint each, and the endpoint of Airy's Source API.

The sources file says how each proves itself; `docs/adding-a-source.md` describes it.
"""

import time
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, NamedTuple, NoReturn
from urllib.parse import unquote_plus

from flask import Blueprint, Response, abort, request

from receiver.config import PREFIX, Settings
from receiver.proofs.encodings import encoding_of
from receiver.proofs.key_sets import KeysMissingError
from receiver.proofs.schemes import bearer_token, proof
from receiver.proofs.setting import Setting
from receiver.proofs.signatures import matches_any
from receiver.proofs.signed import Proof
from receiver.web.answers import Answers
from receiver.web.intake import UNSIGNED, receive, reject, try_again
from schemas import encodings
from schemas.custom_sources import (
    ENTRY_POINTS,
    VARIABLE,
    Definition,
    SourcesFile,
    SourcesFileError,
    name_problem,
    read_file,
)
from schemas.proof_tables import template_fields
from schemas.raw_event import CONTENT_ENCODING

FILE: Final = VARIABLE.removeprefix(PREFIX)
ASKED: Final = "asked for credentials"
"""Why a request is refused whose sender may give its password when it is asked for it: with the next one."""
CHALLENGES: Final = {"basic": 'Basic realm="parley", charset="UTF-8"', "bearer": "Bearer"}
"""Which credentials a source wants, for senders that give them when they are asked for them only."""


class CustomSource(NamedTuple):
    """A custom source that takes requests."""

    name: str
    definition: Definition
    secrets: tuple[str, ...]
    proven: Proof
    answers: Answers

    @property
    def methods(self) -> set[str]:
        """The methods of its events and its handshakes."""
        return {*self.definition.methods, *(answer.method for answer in self.definition.answers)}

    @property
    def refusal(self) -> int:
        """The status by which a request is refused that is not proven."""
        return 401 if self.definition.scheme == "basic" else self.definition.refusal

    def refuse(self) -> NoReturn:
        """Refuse the request, whose sender is not proven.

        Raises:
            HTTPException: always.
        """
        scheme = self.definition.scheme
        challenge = CHALLENGES.get(scheme, "") if self.refusal == 401 else ""
        is_asked = scheme == "basic" and "Authorization" not in request.headers
        reason = ASKED if is_asked else f"not proven by {scheme}"
        reject(self.name, reason, status=self.refusal, challenge=challenge)

    def receive(self, answer: Response | None = None) -> Response:
        """Take the request, whose sender is proven, and answer it."""
        scheme = self.definition.scheme
        verified_by = UNSIGNED if scheme == "none" else scheme
        for name in self.definition.query_secrets:
            request.environ["QUERY_STRING"] = without(request.environ["QUERY_STRING"], name)
        encoding = encoding_of(request)
        if encoding and encoding not in encodings.KNOWN:
            abort(415)
        return receive(
            self.name,
            verified_by=verified_by,
            headers=self.definition.keep_headers,
            answer=answer,
            attributes={CONTENT_ENCODING: encoding} if encoding else None,
        )


AIRYS: Final = "/sources.webhook"
"""Where the sources whose scheme is `bearer` can post too: their token says which it is."""


def blueprint(settings: Settings) -> Blueprint | None:
    """Return the routes, or None where there is no custom source."""
    sources = list(configured(settings))
    if not sources:
        return None
    routes = Blueprint("custom", __name__)
    for source in sources:
        routes.add_url_rule(f"/sources/{source.name}", source.name, _webhook(source), methods=source.methods)
    routes.register_error_handler(KeysMissingError, lambda _: try_again())
    bearers = [source for source in sources if source.definition.scheme == "bearer"]

    @routes.post(AIRYS)
    def sources_webhook() -> Response:
        """Take what a client of Airy's Source API posts: its token says which source it is."""
        token = bearer_token(request)
        found = [source for source in bearers if matches_any(token, source.secrets)]
        if not found:
            reject("sources.webhook", "wrong or missing bearer token")
        return found[0].receive()

    return routes


def configured(settings: Settings, clock: Callable[[], float] = time.time) -> Iterator[CustomSource]:
    """Yield every custom source that is configured, leaving problems in the settings.

    A source that an installed package registers needs no table, but secrets. The clock gives seconds since 1970.
    """
    owners: dict[str, str] = {}
    setting = Setting(settings.public_urls(), Path(settings.text(FILE)).parent, clock)
    for name, written in _definitions(settings).items():
        definition = written or Definition()
        variable = secrets_variable(name)
        secrets = settings.secrets(variable)
        if bool(secrets) == (definition.scheme == "none" or definition.keeps_public_keys):
            if written or secrets:
                settings.problems.append(f"{PREFIX}{variable} {_contradiction(name, definition, secrets)}")
            continue
        if _needs_url(definition) and not setting.public_urls:
            settings.problems.append(f"{PREFIX}PUBLIC_URL is not set: {name} signs the URL that it calls")
        for secret in secrets if definition.scheme == "bearer" else ():
            if (owner := owners.setdefault(secret, name)) != name:
                settings.problems.append(f"{PREFIX}{variable} is a token of {owner} too: give each its own")
        try:
            proven = proof(name, definition, secrets, setting)
        except ValueError as error:
            settings.problems.append(f"{PREFIX}{variable}: {error}")
        else:
            yield CustomSource(name, definition, secrets, proven, _answers(name, definition, settings))


def secrets_variable(name: str) -> str:
    """Return the variable of a source's secrets, without the prefix that all variables have."""
    return f"SOURCE_{name.upper().replace('-', '_')}_SECRETS"


def _answers(name: str, definition: Definition, settings: Settings) -> Answers:
    variable = secrets_variable(name).removesuffix("SECRETS") + "VERIFY_TOKENS"
    tokens = settings.secrets(variable)
    if any(answer.verify for answer in definition.answers) != bool(tokens):
        settings.problems.append(
            f"{PREFIX}{variable} {'is set, but no answer has verify' if tokens else 'is not set: verify needs it'}"
        )
    return Answers(definition.answers, tokens)


def without(query: str, name: str) -> str:
    """Return a query without a parameter: a credential is not kept."""
    return "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) != name)


def _contradiction(name: str, definition: Definition, secrets: tuple[str, ...]) -> str:
    if not secrets:
        return f"is not set: what proves {name}'s requests"
    if definition.scheme == "none":
        return 'is set, but the scheme is "none"'
    return "is set, but the sources file has the public keys: keep one"


def _needs_url(definition: Definition) -> bool:
    signing, jwt = definition.signing, definition.jwt
    return ("url" in template_fields(signing.signed) if signing else False) or bool(jwt and jwt.url_hash)


def _definitions(settings: Settings) -> dict[str, Definition | None]:
    registered = {point.name: None for point in entry_points(group=ENTRY_POINTS) if not name_problem(point.name)}
    try:
        path = settings.text(FILE)
        file = SourcesFile(read_file(path), path)
    except SourcesFileError as error:
        settings.problems += error.problems
        return {}
    return {**registered, **file.definitions}


def _webhook(source: CustomSource) -> Callable[[], Response]:
    def webhook() -> Response:
        """Take whatever the source posts."""
        if not source.proven(request):
            source.refuse()
        return source.receive()

    def conversation() -> Response:
        """Take what the source posts, and answer what its sender wants to hear."""
        if (handshake := source.answers.before_proof(request)) is not None:
            return handshake
        if request.method not in taken:
            abort(405)
        if not source.proven(request):
            source.refuse()
        given = source.answers.after_proof(request)
        if given is not None and not given.keep:
            return given.response
        if request.method not in source.definition.methods:
            abort(405)
        return source.receive(given.response if given else None)

    taken = source.methods
    # Who takes GET takes HEAD, by Flask's rules: that is no event.
    return webhook if taken == {"POST"} and not source.definition.answers else conversation

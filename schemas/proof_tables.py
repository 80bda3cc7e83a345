"""How the requests of a custom source prove their sender: tables of the sources file.

`docs/proofs.md` describes them; `receiver.proofs` does what they say.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from schemas.sources_table import Path, Table, places

Scheme = Literal[
    "standard-webhooks", "hmac", "hash", "signature", "jwt", "token", "bearer", "basic", "code", "none"
]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=7 * 24 * 3600)]

FIELDS: Final = frozenset(
    {"body", "plain_body", "body_sha256", "fields", "timestamp", "url", "path", "query", "method"}
)
"""What a template can name by itself."""
NAMED_FIELDS: Final = frozenset({"header", "query", "field", "base64"})
"""What a template can name with a colon and a name, as in `{header:X-Id}`."""
DIGESTS: Final = frozenset({"body_sha256:raw", "body_sha256:base64"})
"""Other spellings of the body's hash."""
WHOLE_BODY: Final = frozenset({"body", "plain_body", "body_sha256", "fields"}) | DIGESTS
LONGEST_POINTER: Final = 8
"""Steps of a JSON Pointer that are walked before a sender is proven."""
TABLES: Final = {"hmac": "hmac", "hash": "hash", "signature": "signature", "jwt": "jwt", "token": "token"}
"""The table that a scheme needs."""
_FIELD: Final = re.compile(r"\{(.*?)\}")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Token(Table, frozen=True, kw_only=True):
    """A secret that the sender puts into a header, a parameter of the URL, or a field of the body."""

    header: str | None = None
    query: str | None = None
    field: str | None = None
    """A JSON Pointer into the body, or `/` and the name of a form's field."""
    prefix: str = ""


class Signed(Table, frozen=True, kw_only=True):
    """A signature over a template, in a header, a parameter of the URL, or a field of the body."""

    header: str | None = None
    query: str | None = None
    field: str | None = None
    part: str | None = None
    """Where the header lists parts, as `t=1,v1=abc` does: the name of the signature's."""
    prefix: str = ""
    """What stands before the signature, such as `sha256=`."""
    separator: str | None = None
    """What stands between several signatures, of which one must match."""
    encoding: Literal["hex", "base64"] = "hex"
    signed: str = "{body}"
    """What is signed: fields in braces, with what joins them."""
    timestamp_header: str | None = None
    timestamp_query: str | None = None
    timestamp_field: str | None = None
    timestamp_part: str | None = None
    """The name of the timestamp's part, where the signature's header lists parts."""
    tolerance_seconds: Seconds = 300
    """How old a signed timestamp may be, and how far in the future."""
    body_unsigned: bool = False
    """Whether the sender signs other things than the body: then who sends is proven, not what."""


class Hmac(Signed, frozen=True, kw_only=True):
    """How a source signs with a shared secret: an HMAC."""

    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] = "sha256"
    key_encoding: Literal["text", "base64", "hex"] = "text"


class Hash(Signed, frozen=True, kw_only=True):
    """How a source signs with a shared secret that is part of what is hashed: `{secret}` in the template."""

    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] = "sha256"


class Signature(Signed, frozen=True, kw_only=True):
    """How a source signs with a private key.

    Without `public_keys` and `keys_file`, the keys are in the variable of the source's secrets.
    """

    algorithm: Literal["ed25519", "rsa-sha1", "rsa-sha256", "rsa-sha512", "rsa-pss-sha256", "ecdsa-sha256"]
    public_keys: tuple[str, ...] = ()
    """Keys as PEM, or in one line as base64 or hexadecimal."""
    keys_file: str | None = None
    """A file of PEM keys or a JWKS, beside the sources file."""


class Jwt(Table, frozen=True, kw_only=True):
    """A JSON Web Token in a header; its public keys are where those of a `Signature` are, or at an address."""

    algorithm: Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "ES256", "EdDSA"]
    header: str = "Authorization"
    """The header with the token, after `Bearer` or alone."""
    issuer: str | None = None
    audience: str | None = None
    claims: dict[str, str] = msgspec.field(default_factory=dict)
    """Further claims, and the texts that they must have."""
    body_hash: str | None = None
    """The claim that holds the SHA-256 of the body, in hexadecimal."""
    url_hash: str | None = None
    """The claim that holds the SHA-256 of the URL, in hexadecimal."""
    public_keys: tuple[str, ...] = ()
    keys_file: str | None = None
    keys_url: str | None = None
    """Where the sender publishes its JWKS."""
    key_encoding: Literal["text", "base64", "hex"] = "text"
    tolerance_seconds: Seconds = 300
    """How old a token without `exp` may be."""

    @property
    def is_shared(self) -> bool:
        """Whether sender and receiver share a secret."""
        return self.algorithm.startswith("HS")


PublicKeys = Signature | Jwt
"""The tables that name public keys."""


class Proving(Table, frozen=True, kw_only=True):
    """What a source's table says of proofs."""

    scheme: Scheme = "standard-webhooks"
    tolerance_seconds: Seconds = 300
    """How old a request of Standard Webhooks may be."""
    hmac: Hmac | None = None
    hash: Hash | None = None
    signature: Signature | None = None
    jwt: Jwt | None = None
    token: Token | None = None
    methods: tuple[Literal["GET", "POST"], ...] = ("POST",)
    """How the sender sends events."""
    refusal: Literal[401, 403] = 403
    """What a request is answered that is not proven."""

    @property
    def signing(self) -> Signed | None:
        """The table that says how requests are signed, if they are."""
        return self.hmac or self.hash or self.signature

    @property
    def query_secrets(self) -> list[str]:
        """Parameters of the URL that must not be kept."""
        return [table.query for table in (self.token, self.signing) if table is not None and table.query]

    @property
    def keeps_public_keys(self) -> bool:
        """Whether the file says where the keys are, so that there are no secrets."""
        keys: PublicKeys | None = self.signature or self.jwt
        if keys is None:
            return False
        return bool(keys.public_keys or keys.keys_file or (isinstance(keys, Jwt) and keys.keys_url))


def template_fields(template: str) -> list[str]:
    """Return the fields that a template names, in their order."""
    return _FIELD.findall(template)


def split_template(template: str) -> list[str]:
    """Return a template's texts and fields by turns, beginning with a text."""
    return _FIELD.split(template)


def proof_problems(source: Proving) -> Iterable[tuple[Path, str]]:
    """Yield what contradicts itself in what a source says of proofs, and where."""
    for scheme, table in TABLES.items():
        if (source.scheme == scheme) != (getattr(source, table) is not None):
            yield ("scheme",), f'scheme = "{scheme}" and a table `{table}` belong together'
    if not source.methods:
        yield ("methods",), "at least one of GET and POST"
    if (signed := source.signing) is not None:
        (name,) = places(source, "hmac", "hash", "signature")[:1]
        yield from (((name, *path), what) for path, what in _signed_problems(signed, source))
    if source.token is not None:
        yield from ((("token", *path), what) for path, what in _place_problems(source.token))
    if source.jwt is not None:
        yield from ((("jwt", *path), what) for path, what in _jwt_problems(source.jwt))


def _place_problems(table: Token | Signed) -> Iterable[tuple[Path, str]]:
    if len(places(table, "header", "query", "field")) != 1:
        yield (), "needs one of header, query and field"
    yield from _pointer_problems("field", table.field)


def _pointer_problems(key: str, pointer: str | None) -> Iterable[tuple[Path, str]]:
    if pointer is not None and (pointer[:1] != "/" or pointer.count("/") > LONGEST_POINTER or "*" in pointer):
        yield (key,), f"a JSON Pointer of at most {LONGEST_POINTER} steps, such as /token, without *"


def _signed_problems(table: Signed, source: Proving) -> Iterable[tuple[Path, str]]:
    yield from _place_problems(table)
    yield from _pointer_problems("timestamp_field", table.timestamp_field)
    fields = template_fields(table.signed)
    for field in fields:
        name, colon, argument = field.partition(":")
        known = NAMED_FIELDS if colon else FIELDS | ({"secret"} if isinstance(table, Hash) else set())
        if (name not in known or (colon and not argument)) and field not in DIGESTS:
            yield ("signed",), f"there is no {{{field}}}"
        elif name in {"field", "base64"}:
            yield from _pointer_problems("signed", argument)
    if table.body_unsigned and WHOLE_BODY & set(fields):
        yield ("body_unsigned",), "the body is signed"
    if "POST" in source.methods and not table.body_unsigned and not WHOLE_BODY & set(fields):
        yield ("signed",), "must contain {body}, {body_sha256} or {fields}, unless body_unsigned is true"
    if "GET" in source.methods and not {"url", "query"} & set(fields):
        yield ("signed",), "must contain {url} or {query}, which are all that a GET request has"
    if isinstance(table, Hash) and "secret" not in fields:
        yield ("signed",), "must contain {secret}"
    timestamps = places(table, "timestamp_header", "timestamp_query", "timestamp_field", "timestamp_part")
    if len(timestamps) > 1:
        yield (timestamps[1],), f"there is {timestamps[0]} already"
    in_body = timestamps == ["timestamp_field"]
    if ("timestamp" in fields) != bool(timestamps) and not in_body:
        yield ("signed",), "{timestamp} and timestamp_header (or _query, _field, _part) belong together"
    if (table.part or table.timestamp_part) and not table.header:
        yield (), "part and timestamp_part are parts of a header"
    if isinstance(table, Signature):
        yield from _key_problems(table)


def _jwt_problems(table: Jwt) -> Iterable[tuple[Path, str]]:
    yield from _key_problems(table)
    if table.is_shared and (table.public_keys or table.keys_file or table.keys_url):
        yield ("algorithm",), f"{table.algorithm} has secrets, no public keys"
    if table.keys_url is not None:
        try:
            parts = urlsplit(table.keys_url)
            usable = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
            usable = usable and bool(parts.hostname)
        except ValueError:
            usable = False
        if not usable:
            yield ("keys_url",), "must be an https:// address"
        if table.public_keys or table.keys_file:
            yield ("keys_url",), "keep one of public_keys, keys_file and keys_url"
        if not table.audience and not table.claims:
            yield ("keys_url",), "such keys sign for many receivers: say which by audience or claims"


def _key_problems(table: PublicKeys) -> Iterable[tuple[Path, str]]:
    if table.public_keys and table.keys_file:
        yield ("keys_file",), "keep one of public_keys and keys_file"

"""Whatever strangers send: no proof raises, none is taken."""

import json

import pytest
from flask import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from receiver.proofs.schemes import proof
from receiver.proofs.setting import Setting
from receiver.web.answers import Answers
from schemas import recipes
from schemas.custom_sources import SourcesFile

FORM = "application/x-www-form-urlencoded"
NOW = 1_795_372_200
SECRET = "0123456789abcdef:0123456789abcdef"
KEY = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
PUBLIC = f"public_keys=['{KEY}']"
EVERYTHING = (
    "{method}{path}{query}{query:a}{header:X-A}{field:/a/b}{body_sha256}{plain_body}{url}{timestamp}{body}"
)
TABLES = {
    "standard": "",
    "hmac": f"scheme='hmac'\nhmac={{header='X-S', signed='{EVERYTHING}', timestamp_field='/t'}}",
    "parts": "scheme='hmac'\nhmac={header='X-S', part='v1', timestamp_part='t', signed='{timestamp}{body}', "
    "encoding='base64', separator=' '}",
    "unsigned": "scheme='hmac'\nhmac={header='X-S', signed='{base64:/a}{field:/t}', body_unsigned=true}",
    "digest": "scheme='hmac'\nhmac={header='X-S', signed='{body_sha256:raw}{body_sha256:base64}'}",
    "fields": "scheme='hmac'\nhmac={query='a', signed='{fields}', encoding='base64'}",
    "hash": "scheme='hash'\nhash={field='/a', signed='{body}{secret}'}",
    "signature": f"scheme='signature'\nsignature={{algorithm='ed25519', header='X-S', {PUBLIC}}}",
    "shared": "scheme='jwt'\njwt={algorithm='HS256', header='X-S', body_hash='h'}",
    "jwt": f"scheme='jwt'\njwt={{algorithm='EdDSA', header='X-S', {PUBLIC}}}",
    "token": "scheme='token'\ntoken={field='/a/b', prefix='x'}",
    "bearer": "scheme='bearer'",
    "basic": "scheme='basic'",
}
PROOFS = {}
for name, table in TABLES.items():
    definition = SourcesFile(f"[s1]\n{table}").definitions["s1"]
    secrets = () if definition.keeps_public_keys else ("whsec_c2VjcmV0" if name == "standard" else SECRET,)
    PROOFS[name] = proof("s1", definition, secrets, Setting(("https://p.example",), clock=lambda: NOW))
ANSWERS = [
    Answers(SourcesFile(recipes.text(each)).definitions[each].answers, ())
    for each in ("slack", "discord", "front")
]
VISIBLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)
WORDS = st.sampled_from(
    [str(NOW), f"t={NOW},v1=aa", "v1,AAAA", "Bearer a.b.c", "eyJhbGciOiJub25lIn0.e30.", "Basic Og==", "=", "null"]
)
VALUES = VISIBLE | WORDS
HEADERS = st.dictionaries(
    st.sampled_from(
        ["X-S", "X-A", "Authorization", "webhook-id", "webhook-timestamp", "webhook-signature", "Content-Encoding"]
    ),
    VALUES,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(str(NOW)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "t", "type"]), inner),
    max_leaves=6,
)
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())


@settings(deadline=None)
@given(BODIES, HEADERS, VISIBLE, st.sampled_from(["application/json", FORM, ""]))
def test_no_request_escapes_and_none_is_proven(body, headers, query, kind):
    made = Request(
        EnvironBuilder(
            "/sources/s1", method="POST", data=body, headers=headers, query_string=query, content_type=kind
        ).get_environ()
    )
    for is_proven in PROOFS.values():
        assert is_proven(made) is False
    for answers in ANSWERS:
        assert answers.before_proof(made) is None
        answers.after_proof(made)


@pytest.mark.parametrize("name", PROOFS)
def test_an_empty_request_proves_nothing(name):
    assert not PROOFS[name](Request(EnvironBuilder("/sources/s1", method="POST").get_environ()))

import time

import jwt
import pytest

from receiver.chatplugin import tokens
from receiver.chatplugin.tokens import RESUME, SEND, ExpiredTokenError, InvalidTokenError, Tokens, Visitor

VISITOR = Visitor("shop", "3d9ac0d8-2ac1-4b0e-9f0e-4a3c54b3a0aa")
HOUR, WEEK = 3_600, 7 * 86_400


# In seconds of a clock and not by the code's own constants: a leeway of an hour would pass with these.
@pytest.mark.parametrize(("purpose", "lifetime"), [(SEND, HOUR), (RESUME, WEEK)])
@pytest.mark.parametrize(("late", "good"), [(-60, True), (20, True), (45, False), (HOUR, False)])
def test_a_token_lasts_as_long_as_it_is_said_to(monkeypatch, purpose, lifetime, late, good):
    made = Tokens(("s" * 32,), resume_days=7)
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(tokens.time, "time", lambda: now - lifetime - late)
        token = made.issue(VISITOR, purpose)
    if good:
        assert made.verify(token, purpose) == VISITOR
    else:
        with pytest.raises(ExpiredTokenError):
            made.verify(token, purpose)


def test_a_token_to_send_lasts_an_hour_to_the_second():
    token = Tokens(("s" * 32,), resume_days=7).issue(VISITOR, SEND)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == HOUR


@pytest.mark.parametrize("claims", [{"channel_id": 1}, {"conversation_id": None}, {"aud": [SEND]}])
def test_who_signs_another_kind_of_claims_speaks_for_nobody(claims):
    made = Tokens(("s" * 32,), resume_days=7)
    whole = jwt.decode(made.issue(VISITOR, SEND), options={"verify_signature": False})
    with pytest.raises(InvalidTokenError):
        made.verify(jwt.encode(whole | claims, "s" * 32, "HS256"), SEND)

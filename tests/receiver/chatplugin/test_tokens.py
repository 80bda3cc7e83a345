import time

import pytest

from receiver.chatplugin import tokens
from receiver.chatplugin.tokens import RESUME, SEND, ExpiredTokenError, Tokens, Visitor

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

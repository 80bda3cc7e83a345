from receiver.proofs import signatures
from receiver.proofs.signatures import hmac_hex, matches_any, matches_hmac_hex

BODY = b'{"text":"\\u00e4"}'


def test_accepts_each_secret_while_one_is_rotated():
    for secret in ("old", "new"):
        assert matches_hmac_hex("sha256=" + hmac_hex(secret, BODY), ("old", "new"), BODY, prefix="sha256=")


def test_refuses_other_secrets_bodies_prefixes_and_nothing():
    good = hmac_hex("secret", BODY)
    assert not matches_hmac_hex(good, ("other",), BODY)
    assert not matches_hmac_hex(good, ("secret",), BODY + b" ")
    assert not matches_hmac_hex(good, ("secret",), BODY, prefix="sha256=")
    assert not matches_hmac_hex(None, ("secret",), BODY)
    assert not matches_hmac_hex("", ("secret",), BODY)
    assert not matches_hmac_hex(good, (), BODY)


def test_compares_texts_that_are_not_ascii():
    assert matches_any("zürich", ["bern", "zürich"])
    assert not matches_any("\udcff\xff", ["zürich"])


def test_nothing_matches_nothing():
    assert not matches_any("", [])


def test_every_secret_is_compared_in_constant_time(monkeypatch):
    compared = []

    def compare_digest(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr(signatures.hmac, "compare_digest", compare_digest)
    assert signatures.matches_any("a", ["a", "b", "c"])
    assert not signatures.matches_any("x", ["a", "b"])
    assert compared == [b"a", b"b", b"c", b"a", b"b"]

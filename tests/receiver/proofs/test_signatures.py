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

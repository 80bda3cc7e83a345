import pytest

from schemas.custom_sources import SourcesFile, SourcesFileError, line_of, name_problem, read_file


def problems(text):
    with pytest.raises(SourcesFileError) as caught:
        SourcesFile(text, "sources.toml")
    return caught.value.problems


def test_empty_table_is_a_source_with_parleys_json_and_standard_webhooks():
    definition = SourcesFile("[shop]").definitions["shop"]
    assert (definition.scheme, definition.mapping) == ("standard-webhooks", None)


def test_no_text_is_no_source():
    assert SourcesFile("").definitions == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[shop]\n\nschem = 'none'", "line 3: shop.schem: Object contains unknown field `schem`"),
        ("[shop]\nscheme = 'md5'", "line 2: shop.scheme: Invalid enum value 'md5'"),
        ("shop = 3", "line 1: shop: Expected `object`, got `int`"),
        ("[a1]\n[facebook]", "line 2: facebook: is the name of a built-in source"),
        ("[a1]\n['twilio.sms']", "line 2: twilio.sms: is the name of a built-in source"),
        ("[a1]\n[Shop_1]", "line 2: Shop_1: a name has 2 to 63 lower-case letters"),
        ("[a1]\nscheme='hmac'", 'line 2: a1.scheme: scheme = "hmac" and a table `hmac` belong together'),
        ("[a1]\n\n[a1.hmac]\nheader='X'", "belong together"),
        ("[a1]\nscheme='hmac'\nhmac={header='X', signed='x'}", "line 3: a1.hmac.signed: must contain {body}"),
        (
            "[a1]\nscheme='hmac'\n[a1.hmac]\nsigned='{body}{nonce}'\nheader='X'",
            "line 4: a1.hmac.signed: there is no {nonce}",
        ),
        (
            "[a1]\nscheme='hmac'\n[a1.hmac]\nheader='X'\nsigned='{timestamp}{body}'",
            "line 5: a1.hmac.signed: {timestamp}",
        ),
        (
            "[a1]\nscheme='token'\ntoken={header='X', field='/a'}",
            "line 3: a1.token: needs one of header, query and",
        ),
        ("[a1]\nscheme='token'\ntoken={field='a'}", "line 3: a1.token.field: a JSON Pointer"),
        ("[a1]\nscheme='token'\ntoken={field='/a/*'}", "line 3: a1.token.field: a JSON Pointer"),
        (
            "[a1]\nscheme='hmac'\nhmac={header='X', body_unsigned=true}",
            "a1.hmac.body_unsigned: the body is signed",
        ),
        ("[a1]\nscheme='hmac'\nhmac={header='X', signed='{body_sha256:md5}'}", "there is no {body_sha256:md5}"),
        ("[a1]\nscheme='hash'\nhash={header='X'}", "line 3: a1.hash.signed: must contain {secret}"),
        ("[a1]\nscheme='hmac'\nhmac={header='X', signed='{secret}{body}'}", "there is no {secret}"),
        ("[a1]\nscheme='hmac'\nhmac={header='X', signed='{body}{header:}'}", "there is no {header:}"),
        ("[a1]\nscheme='hmac'\nhmac={header='X', signed='{body}{field:x}'}", "a1.hmac.signed: a JSON Pointer"),
        ("[a1]\nscheme='hmac'\nhmac={header='X', timestamp_header='T'}", "{timestamp} and timestamp_header"),
        ("[a1]\nmethods=['GET']\nscheme='hmac'\nhmac={query='s'}", "must contain {url} or {query}"),
        ("[a1]\nscheme='hmac'\nhmac={field='/a', part='v1'}", "are parts of a header"),
        ("[a1]\nscheme='jwt'\njwt={algorithm='none'}", "line 3: a1.jwt.algorithm: Invalid enum value 'none'"),
        ("[a1]\nscheme='jwt'\njwt={algorithm='HS256', keys_file='k'}", "HS256 has secrets, no public keys"),
        (
            "[a1]\nscheme='jwt'\njwt={algorithm='RS256', keys_url='http://a.example'}",
            "must be an https:// address",
        ),
        ("[a1]\nscheme='jwt'\njwt={algorithm='RS256', keys_url='https://['}", "must be an https:// address"),
        ("[a1]\nscheme='jwt'\njwt={algorithm='RS256', keys_url='https://a.example'}", "say which by audience"),
        ("[a1]\nmethods=[]", "line 2: a1.methods: at least one of"),
        ("[a1]\ntolerance_seconds=0", "line 2: a1.tolerance_seconds: Expected `int` >= 1"),
        ("[a1.mapping]\nitems = ''", "line 1: a1.mapping: has neither [[mapping.message]] nor"),
        (
            "[a1.mapping]\ncontact='item.c'\n[[a1.mapping.message]]\nid = 3",
            "line 4: a1.mapping.message[0].id: Expected",
        ),
        (
            "[[a1.mapping.message]]\ncontact='x'\n[[a1.mapping.message]]",
            "line 3: a1.mapping.message[1]: a message needs",
        ),
        (
            "[[a1.mapping.message]]\ncontact='x'\nitems='a/*'",
            "line 3: a1.mapping.message[0].items: a JSON Pointer",
        ),
        (
            "[[a1.mapping.metadata]]\nkey='a'",
            "line 1: a1.mapping.metadata[0]: Object missing required field `subject`",
        ),
        ("[[a1.mapping.metadata]]\nsubject='channel'\nkey='A b'", "line 3: a1.mapping.metadata[0].key: a key has"),
        (
            "[[a1.mapping.metadata]]\nsubject='message'\nkey='a'",
            "line 2: a1.mapping.metadata[0].subject: metadata about",
        ),
        ("[a1]\nscheme = \n", "line 2"),
    ],
)
def test_problem_names_its_line_and_place(text, problem):
    assert problem in problems(text)[0]


@pytest.mark.parametrize("form", ["%s", "%Y-%m-%d %Q", "%-d.%-m.%Y", "%H:%M", "%Y-%m-%d %", "%Y %m %d %Y"])
def test_a_form_by_which_no_time_is_read_is_told_and_keeps_nobody_from_starting(form):
    text = f"[[a1.mapping.message]]\ncontact='x'\ntime='item.t'\ntime_format='{form}'"
    (doubt,) = SourcesFile(text, "f").doubts()
    assert doubt.startswith("f, line 4: a1.mapping.message[0].time_format: strptime reads no time")
    assert SourcesFile(text.replace(form, "%d.%m.%Y"), "f").doubts() == []


def test_problems_of_all_sources_are_told_at_once():
    assert len(problems("[a1]\nscheme='x'\n[b1]\nscheme='y'")) == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# a\n\n[s]\nx = 1\n", 4),
        ("s = {a = 2, x = 1}", 1),
        ("s.a = 1\ns.x = 1", 2),
        ('[s]\na = """\n[s]\nx = 3\n"""\nx = [\n 1,\n]', 6),
        ("[s]\na = 1\n[t]\nx = 1", 1),
    ],
)
def test_line_of_a_value_is_found_however_it_is_spelt(text, line):
    assert line_of(text, ("s", "x")) == line


@pytest.mark.parametrize("name", ["a", "1a", "a_b", "a" * 64, "google", "a/b", "", "ä1"])
def test_names_that_would_not_fit_are_refused(name):
    assert name_problem(name)


def test_file_is_read_and_no_path_is_an_empty_file(tmp_path):
    path = tmp_path / "sources.toml"
    path.write_text("[shop]")
    assert read_file(str(path)) == "[shop]"
    assert read_file("") == ""


def test_file_that_cannot_be_read_is_told_by_its_variable(tmp_path):
    with pytest.raises(SourcesFileError, match="PARLEY_SOURCES_FILE cannot be read"):
        read_file(str(tmp_path / "none.toml"))


def test_credentials_are_not_kept():
    assert "authorization is a credential" in problems("[shop]\nkeep_headers = ['X-A', 'Authorization']")[0]


def test_header_that_proves_the_sender_is_not_kept():
    token = "scheme = 'token'\ntoken = {header = 'X-Key'}"
    assert "x-key is a credential" in problems(f"[shop]\nkeep_headers = ['x-KEY']\n{token}")[0]


def test_headers_fit_into_a_raw_event():
    assert "at most 20 headers" in problems(f"[shop]\nkeep_headers = {[f'X-{n}' for n in range(21)]}")[0]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[a1]\nschem='none'", "did you mean scheme?"),
        ("[a1]\nscheme='hmac'\nhmac={heder='X'}", "did you mean header?"),
        ("[[a1.mapping.message]]\ncontact='item.c'\ntxt='item.t'", "did you mean text?"),
    ],
)
def test_misspelt_key_is_told_with_the_nearest(text, meant):
    assert meant in problems(text)[0]

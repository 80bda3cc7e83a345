from pathlib import Path

import pytest

from receiver.app import create_app
from receiver.config import Config, ConfigError, Settings


def test_names_every_variable_that_is_missing_or_wrong_at_once(environ):
    del environ["PARLEY_PROJECT"], environ["PARLEY_DATA_DIR"]
    environ |= {
        "PARLEY_GROUP_EVENTS": "1001",
        "PARLEY_PORT": "http",
        "PARLEY_QUEUE_EVENTS": "1.5",
        "PARLEY_ARCHIVE": "gs:///",
        "PARLEY_LOG_LEVEL": "loud",
        "PARLEY_ALLOW_UNSIGNED": "telegraph",
        "PARLEY_FACEBOOK_APP_SECRETS_FILE": "/nowhere",
    }
    with pytest.raises(ConfigError) as caught:
        create_app(environ)
    told = {problem.split()[0] for problem in caught.value.problems}
    assert told == {
        "PARLEY_PROJECT",
        "PARLEY_DATA_DIR",
        "PARLEY_GROUP_EVENTS",
        "PARLEY_PORT",
        "PARLEY_QUEUE_EVENTS",
        "PARLEY_ARCHIVE",
        "PARLEY_LOG_LEVEL",
        "PARLEY_ALLOW_UNSIGNED",
        "PARLEY_FACEBOOK_APP_SECRETS",
        "PARLEY_FACEBOOK_APP_SECRETS_FILE",
    }


def test_never_tells_a_secret_in_a_problem(environ):
    environ["PARLEY_FACEBOOK_APP_SECRETS_FILE"] = "/nowhere"
    with pytest.raises(ConfigError) as caught:
        create_app(environ)
    assert "old-secret" not in str(caught.value)


def test_empty_counts_as_not_set(environ):
    environ["PARLEY_GROUP_EVENTS"] = " "
    assert Config.from_environ(environ).group_events == 500


@pytest.mark.parametrize("text", ["one,two", " one , two ,", "one\ntwo\n"])
def test_reads_secrets_from_a_file(tmp_path, text):
    path = tmp_path / "secret"
    path.write_text(text)
    settings = Settings({"PARLEY_X_FILE": str(path)})
    assert settings.secrets("X") == ("one", "two")
    assert not settings.problems


def test_a_file_without_a_secret_is_a_problem(tmp_path):
    path = tmp_path / "secret"
    path.write_text("\n")
    settings = Settings({"PARLEY_X_FILE": str(path)})
    assert settings.secrets("X") == ()
    assert settings.problems == [f"PARLEY_X_FILE names a file without a secret: {path}"]


@pytest.mark.parametrize(
    ("archive", "root", "upload"),
    [
        ("/archive", Path("/archive"), None),
        ("gs://bucket/prefix", Path("/data/archive"), Path("/data/archive")),
        ("none", None, None),
    ],
)
def test_an_archive_is_a_folder_a_bucket_or_none(environ, archive, root, upload):
    environ |= {"PARLEY_ARCHIVE": archive, "PARLEY_DATA_DIR": "/data"}
    config = Config.from_environ(environ)
    assert (config.archive_root, config.upload_root) == (root, upload)

"""The page on configuration names every variable that is read, and no other."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pipelines.bigquery.target as bigquery_target
import pipelines.dashboard.warehouse as dashboard
from pipelines.bigquery import suppressed
from pipelines.dashboard import spool, status
from pipelines.dashboard.business_hours import BUSINESS_HOURS
from pipelines.erase import retention
from pipelines.reprocess import streamed
from pipelines.run import desk
from receiver.app import create_app

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
GIVEN = {
    "PARLEY_PROJECT": "parley-test",
    "PARLEY_FACEBOOK_APP_SECRETS": "a",
    "PARLEY_TWILIO_AUTH_TOKENS": "a",
    "PARLEY_CHATPLUGIN_SECRETS": "x" * 40,
    "PARLEY_CHATPLUGIN_CHANNELS": "[]",
}

# By /__version__, when it is requested, by `parley backfill apply`, and by `parley dashboard`.
ASKED_LATER = {
    *("PARLEY_COMMIT", "PARLEY_BUILD", streamed.MINUTES, dashboard.MAX_BYTES, desk.TOKEN),
    *(spool.TOKEN, status.REFRESH, suppressed.KEY, BUSINESS_HOURS, retention.SETTING),
}


class Recorder(Mapping[str, str]):
    """An environment that notes which of Parley's variables are asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values_ = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        if name.startswith("PARLEY_"):
            self.asked.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def test_the_page_names_every_variable_that_is_read(tmp_path: Path):
    folders = {"PARLEY_ARCHIVE": str(tmp_path / "archive"), "PARLEY_DATA_DIR": str(tmp_path / "data")}
    environ = Recorder(GIVEN | folders)
    # Some source may find its settings incomplete: it has asked for them.
    with suppress(ValueError):
        create_app(environ)
    bigquery_target.Target.from_environment(environ)
    named = set(re.findall(r"PARLEY_[A-Z_]+[A-Z](?![A-Z]|_?<)", PAGE.read_text("utf-8")))

    read = {name for name in environ.asked if not name.endswith("_FILE") or name == "PARLEY_SOURCES_FILE"}
    assert read - named == set()
    assert named - read - ASKED_LATER == set()

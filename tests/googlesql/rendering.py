"""Has the product send everything that it can send to BigQuery: what no one of these sends, nobody judges."""

import dataclasses
import datetime as dt
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from google.cloud import bigquery

from pipelines.bigquery import deploy, suppressed
from pipelines.bigquery.target import Target
from pipelines.dashboard.app import create_app
from pipelines.dashboard.warehouse import Warehouse as DashboardWarehouse
from pipelines.demo import answers, bug_story, demo_command
from pipelines.demo.warehouse import Warehouse as DemoWarehouse
from pipelines.erase import apply as apply_erasure
from pipelines.erase import retention
from pipelines.erase.erase_commands import erase
from pipelines.erase.export_command import export
from pipelines.erase.retention_commands import retain
from pipelines.reprocess import RefusedError, streamed
from pipelines.reprocess.backfill_commands import backfill
from pipelines.reprocess.dead_letter_commands import dead_letters
from pipelines.reprocess.reconcile_command import reconcile
from pipelines.reprocess.runs import Runs, State
from pipelines.reprocess.settle_command import settle
from pipelines.run import stream
from pipelines.run.people_commands import people
from pipelines.run.pipeline_commands import batch
from pipelines.run.query_command import query
from pipelines.run.rates_command import rates
from pipelines.run.reply_command import reply
from schemas import loader
from schemas.raw_event import RawEvent
from tests.pipelines.reprocess.reprocess_support import InterruptAt, Warehouse, options
from tests.raw_events import NOON, raw_event, text_message

LATER = NOON + dt.timedelta(hours=1)
DAY = NOON.date().isoformat()


@dataclasses.dataclass
class Product:
    """The product's commands over a small world of its own."""

    warehouse: Warehouse
    patch: pytest.MonkeyPatch
    printed: list[str] = dataclasses.field(default_factory=list)
    """Statements that `parley tables deploy --dry-run` prints for others to run."""

    def runs(self) -> None:
        """Plan, apply, roll back and discard runs that come into each other's way."""
        warehouse = self.warehouse
        warehouse.received([*map(text_message, range(3)), raw_event(b"no json", number=90)])
        warehouse.archived([text_message(7)])
        warehouse.query("UPDATE `T.messages` SET kind = 'wrong' WHERE TRUE")
        first, second = warehouse.plan(), warehouse.plan(start=NOON, end=LATER, sources=("facebook",))
        self._parley(backfill, "related", second.run_id)
        self._parley(backfill, "preview", second.run_id)
        self.patch.setenv(streamed.MINUTES, "0")
        warehouse.apply(first)
        with pytest.raises(RefusedError, match="since the plan"):
            warehouse.apply(second)
        # Every row in question is one that the first has inserted.
        self.patch.setenv(streamed.MINUTES, "30")
        warehouse.apply(second, force=True, reason="told to")
        self.patch.setenv(streamed.MINUTES, "0")
        with pytest.raises(RefusedError, match="roll that one back first"):
            warehouse.roll_back(first)
        warehouse.roll_back(second)
        warehouse.apply(second, force=True, reason="again")
        warehouse.roll_back(second)
        warehouse.discard(second)
        with pytest.raises(KeyboardInterrupt):
            warehouse.plan(InterruptAt("loaded", _interrupt), start=NOON, end=LATER)
        self._parley(backfill, "resume", "latest", "--quiet")
        self._parley(backfill, "list")

    def letters(self) -> None:
        """Look at dead letters, and try their events again."""
        bounds = ("--from", DAY, "--to", "2026-03-15", "--source", "facebook", "--stage", "parse")
        self._parley(dead_letters, "list", *bounds, "--class", "DecodeError")
        self._parley(dead_letters, "show", str(raw_event(b"", number=90).event_id), *bounds)
        self._parley(dead_letters, "redrive", "--apply", *bounds)

    def reconciliation(self) -> None:
        """Compare archive, ledger and rows, of all times and of some."""
        self._parley(reconcile)
        self._parley(reconcile, "--from", DAY, "--to", "2026-03-15", "--source", "facebook")

    def settlement(self) -> None:
        """Bring in order what two versions have stored, what is told in two partitions, and what was replaced."""
        early = NOON - dt.timedelta(days=2)
        twice = [_sms(number, early + dt.timedelta(days=number - 60)) for number in (60, 61)]
        self.warehouse.received([text_message(50, early), *twice])
        self.warehouse.query(
            "INSERT INTO `T.messages` SELECT * REPLACE (generation - 1 AS generation) FROM `T.messages` "
            f"WHERE event_id = '{text_message(50).event_id}'"
        )
        self._parley(settle, "--from", DAY, "--to", "2026-03-15")
        # What was told long ago is looked for on the first of a month.
        self.warehouse.received([_sms(62, NOON + dt.timedelta(days=40))])
        self._parley(settle, "--from", "2026-05-01", "--to", "2026-05-02")

    def live(self) -> None:
        """Ask what live has stored."""
        stream.stored_events(self.warehouse.target)

    def dashboard(self) -> None:
        """Open the pages."""
        target = self.warehouse.target
        app = create_app(
            DashboardWarehouse(target, lambda: self.warehouse.client), str(self.warehouse.archive), [], NOON.date
        )
        with app.test_client() as page:
            for path in ("/panels/totals", "/conversations/", "/people/", "/dead-letters/", "/runs/"):
                assert page.get(path).status_code == 200, path

    def query(self) -> None:
        """Ask what a document tells to ask."""
        sql = "SELECT sent_at, source, direction, content FROM messages ORDER BY sent_at DESC"
        self._parley(query, sql, "--limit", "5")

    def people(self) -> None:
        """Decide who is who, and look."""
        names = self.warehouse.query("SELECT DISTINCT contact_id FROM `V.contacts` ORDER BY contact_id LIMIT 2")
        one, other = (str(row["contact_id"]) for row in names)
        for words in (("link", one, other), ("unlink", one, other), ("withdraw", one, other)):
            self._parley(people, *words, "--apply")
        self._parley(people, "show", one)

    def rates(self) -> None:
        """Look at the rate card, which is empty."""
        result = CliRunner(env=self._environment()).invoke(rates, ["check"])
        assert "0 rates" in result.output, result.output

    def demo(self) -> None:
        """Ask what the demo asks."""
        demo = DemoWarehouse(self.warehouse.client, self.warehouse.target)
        self.patch.setattr("pipelines.demo.warehouse.show", lambda rows, **_: list(rows))
        self.patch.setattr(demo_command, "post_text", self._store_text)
        for sql in (demo_command._MORNING, *demo_command._QUESTIONS.values(), answers.SPOKEN):
            demo.ask("", sql)
        demo.rows(answers.TOLD)
        demo_command._time_one(demo, 0)
        demo.image(LATER)
        assert demo.differences(demo.where) == []
        bug_story._counts(demo, LATER)
        bug_story._reactions(demo, LATER)
        bug_story._affected(demo, LATER)
        bug_story._wait_for_arrivals(demo, -1)
        bug_story._check_arrivals(demo, 0, 1)

    def deployment(self) -> None:
        """Deploy over tables of an earlier version, which lack every column that may be missing."""
        target = Target.prefixed(self.warehouse.target.project, f"old_{self.warehouse.target.views_dataset}_")
        client = self.warehouse.client
        client.create_dataset(f"{target.project}.{target.rows_dataset}")
        for spec in loader.tables().values():
            required = [column for column in spec.resource["schema"]["fields"] if column["mode"] == "REQUIRED"]
            resource = {**spec.resource, "schema": {"fields": required}}
            reference = bigquery.TableReference.from_string(target.table(spec.name))
            client.create_table(
                bigquery.Table.from_api_repr({**resource, "tableReference": reference.to_api_repr()})
            )
        for steps in (deploy.plan(client, target), deploy.plan(deploy.EmptyProject(target), target)):
            self.printed += (statement for step in steps for statement in step.sql)
        deploy.deploy(client, target)

    def _store_text(self, mid: str) -> None:
        event = text_message(int(mid.rpartition("-")[2]) + 100)
        self.warehouse.received([raw_event(event.data.replace(b"m_100", mid.encode()), number=100)])

    def _parley(self, command: click.Command, *arguments: str) -> None:
        result = CliRunner(env=self._environment()).invoke(command, arguments)
        assert result.exit_code in {0, 5, 6}, (arguments, result.output, result.exception)

    def _environment(self) -> dict[str, str | None]:
        target = self.warehouse.target
        return {
            "PARLEY_PROJECT": target.project,
            "PARLEY_DATASET_PREFIX": target.rows_dataset.removesuffix("parley_rows"),
            "PARLEY_ARCHIVE": str(self.warehouse.archive),
        }

    def reply(self) -> None:
        """Look for the conversation to which a reply goes."""
        result = CliRunner(env=self._environment()).invoke(reply, ["--conversation", "none", "Hello"])
        assert "there is no conversation none" in result.output, result.output

    def erasure(self) -> None:
        """Erase people, however they are named, one with a run that keeps rows of theirs."""
        self.patch.setenv(suppressed.KEY, "a key of tests, and of nothing else in the world")
        self.warehouse.plan(start=NOON, end=LATER)
        # The archive does not have this one: only its rows can be deleted.
        letter = raw_event(b'{"object": "page", "entry": [{"contact-0', number=71)
        self.warehouse.live([text_message(70), letter])
        (row,) = self.warehouse.query(
            "SELECT DISTINCT contact_id FROM `V.seen_contacts` WHERE source_contact_id = 'contact-0'"
        )
        self._parley(erase, "plan", "--person", row["contact_id"], "--reason", "request 6")
        self._parley(erase, "plan", "--contact", row["contact_id"], "--reason", "request 7")
        self._parley(export, "--contact", row["contact_id"], "--to", str(self.warehouse.archive.parent / "export"))
        place = (self.warehouse.client, self.warehouse.target, str(self.warehouse.archive))
        with pytest.raises(KeyboardInterrupt):
            # Its run is left, planned, and thrown away by whoever goes on.
            apply_erasure(*place, "latest", "test", options(), steps=InterruptAt("made", _interrupt))
        for words in (("apply", "latest"), ("verify", "latest"), ("list",)):
            self._parley(erase, *words)
        named = ("--source", "twilio.sms", "--source-contact", "+4915550000101")
        self._parley(erase, "plan", *named, "--reason", "request 8")
        self.patch.setenv(retention.SETTING, "twilio=1")
        self._parley(retain)
        self._parley(retain, "--apply")
        done = [
            each for each in Runs(self.warehouse.client, self.warehouse.target).all() if each.history[0].reason
        ]
        with pytest.raises(RefusedError, match="that is final"):
            self.warehouse.roll_back([each for each in done if each.state is State.APPLIED][-1])
        into = f"beside_{self.warehouse.target.views_dataset}_"
        self._parley(batch, "--archive", str(self.warehouse.archive), "--into", into)

    def do_everything(self) -> None:
        """Do all of it, in an order in which each finds what it needs."""
        for act in (
            self.runs,
            self.letters,
            self.reconciliation,
            self.settlement,
            self.live,
            self.dashboard,
            self.query,
            self.people,
            self.rates,
            self.reply,
            self.demo,
            self.erasure,
            self.deployment,
        ):
            act()


def _interrupt() -> None:
    raise KeyboardInterrupt


def _sms(number: int, received: dt.datetime) -> RawEvent:
    """Return a text whose source tells no time: it lies in the partition of the day of its receipt."""
    body = "MessageSid=SM1&From=%2B4915550000101&To=%2B4915550000002&Body=hi&NumMedia=0"
    made = raw_event(body.encode(), source="twilio", received_at=received, number=number)
    return RawEvent(made.data, {**made.attributes, "content_type": "application/x-www-form-urlencoded"})


def product(client: bigquery.Client, target: Target, archive: Path, patch: pytest.MonkeyPatch) -> Product:
    """Return the product over empty tables."""
    return Product(Warehouse(client, target, archive), patch)

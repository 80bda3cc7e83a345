import datetime as dt
import fcntl
import json
import os
import threading
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fastavro
import pytest
from click.testing import CliRunner
from google.cloud.pubsub_v1 import SubscriberClient

from pipelines.core.rows import Alias, Contact, Event, Message, Metadata
from pipelines.core.times import from_micros
from pipelines.generate import delivery, people, write_archive
from pipelines.generate.generate_command import generate
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World
from pipelines.generate.talk import DAY
from pipelines.local import environment, topics
from pipelines.replies.register import is_reply_id
from pipelines.run import local_stack
from pipelines.sources import PARSERS
from pipelines.sources.custom import OwnJson
from pipelines.sources.normalization import normalize
from schemas.raw_event import RawEvent
from schemas.replies import decode_reply

WORLD = World(300, 7, write_archive.day_of(DEFAULT_START), 4, (*WEIGHTS, "shop"), people.MOST)


@pytest.fixture(autouse=True)
def shop(monkeypatch):
    monkeypatch.setitem(PARSERS, "shop", OwnJson("shop").parse)


@pytest.fixture(scope="module")
def events():
    return [item.event for day in range(WORLD.days) for item in delivery.of_day(WORLD, day)]


def rows(events):
    return [row for event in events for row in normalize(event)]


def run(*arguments, env=None):
    return CliRunner().invoke(generate, [str(argument) for argument in arguments], env=env)


def archived(root):
    found = []
    for path in root.rglob("*.avro"):
        with path.open("rb") as file:
            found += [(path.relative_to(root), RawEvent.from_avro(record)) for record in fastavro.reader(file)]
    return found


def test_every_event_normalizes(events):
    outcomes = Counter(row.outcome for row in rows(events) if isinstance(row, Event))
    assert outcomes == {"normalized": len(events)}


def test_every_source_speaks_and_hears(events):
    messages = [row for row in rows(events) if isinstance(row, Message)]
    assert {row.source for row in messages} == {*WEIGHTS, "shop"}
    assert {row.direction for row in messages} == {"inbound", "outbound"}


def test_facts_are_about_messages_that_were_told(events):
    made = rows(events)
    told = {row.message_id for row in made if isinstance(row, Message)}
    facts = [row for row in made if isinstance(row, Metadata) and row.subject_type == "message"]
    assert {"source.delivery_state", "reaction.emoji", "source.edited", "source.deleted"} <= {
        row.key for row in facts
    }
    # Twilio and Google do not tell of what was sent to the contact.
    silent = ("twilio", "google")
    assert {row.subject_id for row in facts if not row.source.startswith(silent)} <= told


def test_world_has_names_scripts_batches_redeliveries_and_failures(events):
    made = rows(events)
    assert {row.display_name for row in made if isinstance(row, Contact) and row.display_name}
    assert any(not row.content.isascii() for row in made if isinstance(row, Message))
    assert any(len(json.loads(event.data)["entry"]) > 1 for event in events if event.source == "whatsapp")
    assert len({event.data for event in events}) < len(events)
    assert "failed" in {row.value for row in made if isinstance(row, Metadata)}


def test_world_has_media_choices_templates_and_history(events):
    messages = [row for row in rows(events) if isinstance(row, Message)]
    assert {"quick_reply", "postback", "suggestion_response"} <= {row.kind for row in messages}
    assert {"history", "placeholder", "echo"} <= {flag for row in messages for flag in row.flags}
    for written in ('"template"', '"ig_reel"', '"story"', '"contacts"', '"location"', "MediaUrl0", "Latitude="):
        assert any(written in row.content for row in messages), written


def test_world_has_people_of_several_ids_whose_ids_change_and_groups_of_several_people(events):
    made = rows(events)
    aliases = {row.kind for row in made if isinstance(row, Alias)}
    assert {"user_id", "new_wa_id", "new_user_id", "phone_spelling", "username", "external_user_id"} <= aliases
    changes = {row.key for row in made if isinstance(row, Metadata)}
    assert {f"source.{kind}" for kind in people.CHANGES.values()} | {"source.group_participant"} <= changes
    writers = defaultdict(set)
    for row in made:
        if isinstance(row, Message) and "group" in row.flags and row.direction == "inbound":
            writers[row.conversation_id].add(row.contact_id)
    assert max(map(len, writers.values())) == people.IN_GROUP


def test_an_event_beside_a_message_of_instagram_edits_nothing(events):
    edits = [row for row in rows(events) if isinstance(row, Metadata) and row.key == "source.message_edit"]
    assert {(row.source, row.value) for row in edits} == {("instagram", "0")}


def test_world_has_prices_referrals_handovers_ratings_templates_and_what_was_bought(events):
    facts = [row for row in rows(events) if isinstance(row, Metadata)]
    for source in ("facebook", "instagram", "whatsapp", "twilio.whatsapp"):
        assert any(row.key == "source.referral" and row.source == source for row in facts), source
    assert {
        "source.thread_control",
        "source.messaging_feedback",
        "source.survey_response",
        "source.answered_by",
    } <= {row.key for row in facts}
    assert {"conversion.value", "actor.kind", "nps", "source.message_template_status_update"} <= {
        row.key for row in facts
    }
    priced = [row.content for row in facts if row.key == "source.delivery_state" and '"pricing"' in row.content]
    assert {json.loads(content)["pricing"]["pricing_model"] for content in priced} == {"PMP", "CBP"}


def test_what_a_system_of_ours_reports_is_taken_and_never_sent(events):
    told = [event for event in events if event.source == "replies"]
    assert all(decode_reply(event.data).sent_by_others for event in told)
    assert all(is_reply_id(event.attributes["reply_id"]) for event in told)
    assert all(is_reply_id(event.attributes["reply_id"]) for event in told)
    assert {decode_reply(event.data).actor.kind for event in told} == {"human", "bot", "system"}


def test_history_is_told_of_both_sides(events):
    told = [row for row in rows(events) if isinstance(row, Message) and "history" in row.flags]
    assert {row.direction for row in told} == {"inbound", "outbound"}


def test_events_have_ids_of_their_own_in_the_order_of_receipt(events):
    ids = [event.event_id for event in events if event.source == "whatsapp"]
    assert len(set(ids)) == len(ids)
    first_day = [item.event for item in delivery.of_day(WORLD, 0)]
    assert [e.event_id[:13] for e in first_day] == sorted(e.event_id[:13] for e in first_day)
    assert {event.event_id[14] for event in events} == {"7"}


def test_same_seed_and_size_make_the_same_bytes_with_any_number_of_processes(tmp_path):
    for number in (1, 2):
        root = tmp_path / str(number)
        result = run("--conversations", 60, "--seed", 3, "--days", 3, "--archive", root, "--processes", number)
        assert result.exit_code == 0, result.output
    one, two = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.avro")}
        for root in (tmp_path / "1", tmp_path / "2")
    )
    assert one == two
    assert one


def test_another_seed_is_another_world(tmp_path):
    for seed in (1, 2):
        run(
            "--conversations", 20, "--seed", seed, "--days", 1, "--archive", tmp_path / str(seed), "--processes", 1
        )
    assert {e.data for _, e in archived(tmp_path / "1")}.isdisjoint({e.data for _, e in archived(tmp_path / "2")})


def test_archive_is_laid_out_by_source_and_hour_of_receipt(tmp_path):
    assert run("--conversations", 30, "--days", 2, "--archive", tmp_path, "--processes", 1).exit_code == 0
    found = archived(tmp_path)
    assert found
    for path, event in found:
        moment = event.received_at
        assert path.parts[:3] == (f"source={event.source}", f"date={moment:%Y-%m-%d}", f"hour={moment:%H}")


def test_sources_can_be_chosen(tmp_path):
    run("--conversations", 5, "--source", "shop", "--source", "google", "--archive", tmp_path, "--processes", 1)
    assert {event.source for _, event in archived(tmp_path)} == {"shop", "google"}


@pytest.fixture
def receiver():
    """An HTTP server that keeps what it is sent, and refuses what has no signature."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, dict(self.headers), body))
            self.send_response(200 if any("signature" in name.lower() for name in self.headers) else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", taken
    server.shutdown()
    thread.join()
    server.server_close()


SECRETS = {
    "PARLEY_FACEBOOK_APP_SECRETS": "s,t",
    "PARLEY_WHATSAPP_APP_SECRETS": "s",
    "PARLEY_TWILIO_AUTH_TOKENS": "s",
    "PARLEY_GOOGLE_KEYS": "s",
    "PARLEY_AIRY_SIGNATURE_KEYS": "s",
    "PARLEY_PUBLIC_URL": "https://hooks.example.com",
}


def test_sends_all_of_it_signed(receiver):
    url, taken = receiver
    result = run("--conversations", 40, "--days", 1, "--to", url, env=SECRETS)
    assert result.exit_code == 0, result.output
    assert result.output == f"{len(taken)} answered with 200\n"
    assert {path for path, _, _ in taken} == {"/facebook", "/whatsapp", "/twilio", "/google", "/airy"}


def test_signs_with_the_secrets_of_the_stack_that_runs_here(receiver, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
    environment.save(local_stack.DEFAULT_FOLDER, SECRETS)
    url, taken = receiver
    result = run("--conversations", 40, "--days", 1, "--to", url)
    assert result.exit_code == 0, result.output
    assert {path for path, _, _ in taken} == {"/facebook", "/whatsapp", "/twilio", "/google", "/airy"}


def test_flaws_come_beside_what_is_whole_and_each_kind_has_its_outcome(events):
    flawed = WORLD._replace(flawed=200)
    told = [item.event for day in range(WORLD.days) for item in delivery.of_day(flawed, day)]
    outcomes = Counter(row.outcome for row in rows(told) if isinstance(row, Event))
    assert outcomes["normalized"] == len(events)
    assert set(outcomes) == {"normalized", "partial", "ignored", "failed"}
    assert {event.event_id for event in events} < {event.event_id for event in told}


def test_what_would_come_after_the_world_is_looked_at_has_not_come(events):
    until = write_archive.day_of(DEFAULT_START) + 2 * DAY
    early = [item.event for day in range(WORLD.days) for item in delivery.of_day(WORLD._replace(until=until), day)]
    assert early == [event for event in events if event.received_at < from_micros(until)]
    assert 0 < len(early) < len(events)


@pytest.fixture
def stack(pubsub, tmp_path, monkeypatch):
    """A local stack's archive and the topics to which its receiver publishes, each with a subscription."""
    monkeypatch.setenv("PARLEY_PROJECT", environment.PROJECT)
    monkeypatch.setenv("PARLEY_ARCHIVE", str(tmp_path / "archive"))
    topics.create_topics(environment.PROJECT, {f"raw-{name}": f"parley-{name}" for name in PARSERS})
    with SubscriberClient() as subscriber:

        def published(endpoint):
            name = subscriber.subscription_path(environment.PROJECT, f"parley-{endpoint}")
            pulled = subscriber.pull(subscription=name, max_messages=1_000).received_messages
            return [RawEvent(each.message.data, dict(each.message.attributes)) for each in pulled]

        yield tmp_path / "archive", published


def test_here_it_is_archived_and_published_as_a_receiver_would_have_on_those_days(stack):
    archive, published = stack
    arguments = ("--conversations", 40, "--days", 2, "--here")
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    kept = [event for _, event in archived(archive)]
    assert f"{len(kept)} events of 40 conversations" in result.output
    today = dt.datetime.now(dt.UTC).date()
    assert {event.received_at.date() for event in kept} == {today - dt.timedelta(days=n) for n in (1, 2)}
    assert {"chatplugin", "twilio"} <= {event.source for event in kept}
    for endpoint in ("chatplugin", "twilio"):
        one = sorted(published(endpoint), key=lambda event: event.event_id)
        assert one == sorted((e for e in kept if e.source == endpoint), key=lambda event: event.event_id)
    assert run(*arguments).exit_code == 0
    assert sorted(e.event_id for _, e in archived(archive)) == sorted(event.event_id for event in kept)


def test_here_says_that_a_stack_is_not_ready_yet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    local_stack.DEFAULT_FOLDER.mkdir()
    nothing = dict.fromkeys(("PARLEY_PROJECT", "PARLEY_ARCHIVE", "PUBSUB_EMULATOR_HOST"), "")
    with (local_stack.DEFAULT_FOLDER / local_stack.LOCK_FILE).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "not ready yet" in run("--conversations", 1, "--here", env=nothing).output
    assert "start one with `parley run`" in run("--conversations", 1, "--here", env=nothing).output


@pytest.mark.parametrize("environ", [{"PUBSUB_EMULATOR_HOST": ""}, {"PARLEY_ARCHIVE": "gs://archive"}])
def test_what_is_made_up_never_reaches_a_real_project(stack, environ):
    result = run("--conversations", 1, "--here", env=environ)
    assert result.exit_code == 1
    assert "no local stack" in result.output


def test_tells_what_was_not_answered():
    result = run("--conversations", 2, "--to", "http://127.0.0.1:1", "--source", "airy", env=SECRETS)
    assert result.exit_code == 1
    assert "not answered" in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give --archive, --here or --to"),
        (["--here", "--to", "http://x"], "give --archive, --here or --to"),
        (["--here"], "no local stack runs in this folder"),
        (["--to", "localhost"], "--to must be like"),
        (["--to", "http://x", "--source", "chatplugin"], "chatplugin cannot be sent: give --here or --archive"),
        (["--to", "http://x", "--source", "airy"], "PARLEY_AIRY_SIGNATURE_KEYS is not set"),
        (["--to", "http://x", "--source", "twilio.sms"], "PARLEY_TWILIO_AUTH_TOKENS is not set"),
        (["--archive", "x", "--source", "Nope"], "'Nope': a name has"),
    ],
)
def test_wrong_usage_says_what_is_missing(arguments, complaint):
    result = run("--conversations", 1, *arguments, env=dict.fromkeys(SECRETS, ""))
    assert result.exit_code != 0
    assert complaint in result.output


def test_archive_that_is_there_is_not_written_over(tmp_path):
    (tmp_path / "kept").write_text("")
    result = run("--conversations", 1, "--archive", tmp_path)
    assert result.exit_code == 1
    assert "not empty" in result.output

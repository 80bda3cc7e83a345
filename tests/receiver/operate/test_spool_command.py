from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from receiver_support import PROJECT, Bus, events

from receiver.durable import refused
from receiver.durable.spool import Spool
from receiver.operate.spool_command import spool_commands


def drain(folder: Path):
    return CliRunner().invoke(spool_commands, ["drain", str(folder)])


def test_drain_publishes_a_dead_hosts_spool_and_may_be_repeated(
    tmp_path: Path, bus: Bus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PARLEY_PROJECT", PROJECT)
    spool = Spool(tmp_path, "facebook")
    spool.append(events(3))
    spool.seal()

    first, again = drain(tmp_path), drain(tmp_path)

    assert (first.exit_code, first.output) == (0, "facebook: 3 events published\n")
    assert (again.exit_code, again.output) == (0, "facebook: 0 events published\n")
    assert bus.published() == events(3)


def test_drain_says_what_pubsub_did_not_take(tmp_path: Path, bus: Bus, monkeypatch: pytest.MonkeyPatch):
    """Before somebody throws the disk away: a name of a topic that is none is refused as an event is."""
    monkeypatch.setenv("PARLEY_PROJECT", PROJECT)
    folder = tmp_path / "spool"
    spool = Spool(folder, "facebook")
    spool.append(events(3))
    spool.seal()

    bus.faults.set("Publish", code=grpc.StatusCode.INVALID_ARGUMENT)
    in_vain = drain(folder)
    assert (in_vain.exit_code, in_vain.output) == (1, "facebook: 0 events published, 3 stay\n")

    bus.faults.clear()
    refused.set_aside(spool, events(2, first=3))
    rest = drain(folder)
    assert (rest.exit_code, rest.output) == (1, "facebook: 3 events published, 2 stay\n")


def test_drain_says_which_setting_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PARLEY_PROJECT", raising=False)
    result = drain(tmp_path)

    assert result.exit_code == 1
    assert "PARLEY_PROJECT" in result.output


def test_drain_says_where_no_spool_is(tmp_path: Path, bus: Bus, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PARLEY_PROJECT", PROJECT)

    result = drain(tmp_path)

    assert result.exit_code == 1
    assert f"no spool in {tmp_path}" in result.output


def test_what_was_refused_is_listed_and_sent_again(tmp_path: Path, bus: Bus, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PARLEY_PROJECT", PROJECT)
    folder = tmp_path / "spool"
    folder.mkdir()
    refused.set_aside(Spool(folder, "facebook"), events(2))

    listed = CliRunner().invoke(spool_commands, ["refused", str(folder)])
    assert [line.split()[:2] for line in listed.output.splitlines()] == [
        ["facebook", event.event_id] for event in events(2)
    ]

    monkeypatch.chdir(folder)
    assert CliRunner().invoke(spool_commands, ["refused", "."]).output == listed.output

    bus.faults.set("Publish", code=grpc.StatusCode.INVALID_ARGUMENT)
    in_vain = CliRunner().invoke(spool_commands, ["resend", str(folder)])
    assert (in_vain.exit_code, in_vain.output) == (1, "facebook: 0 events published, 2 stay\n")

    bus.faults.clear()
    sent = CliRunner().invoke(spool_commands, ["resend", str(folder)])
    assert (sent.exit_code, sent.output) == (0, "facebook: 2 events published, 0 stay\n")
    assert bus.published() == events(2)

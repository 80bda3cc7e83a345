"""By which names a run is found, and by which it is not."""

import datetime as dt

import pytest

from pipelines.reprocess.runs import Change, Run, State, UnknownRunError, find, made_at

PLANNED = (Change(State.PLANNED, dt.datetime(2026, 3, 14, tzinfo=dt.UTC), "test", None),)
FIRST, SECOND, THIRD = (
    Run(run_id, 1, "{}", PLANNED)
    for run_id in (
        "01890000-aaaa-7000-8000-000000000001",
        "01890000-bbbb-7000-8000-000000000002",
        "01890001-bbbb-7000-8000-000000000002",
    )
)
RUNS = (FIRST, SECOND, THIRD)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("latest", THIRD),
        (FIRST.run_id, FIRST),
        ("01890001", THIRD),
        ("01890000-b", SECOND),
        ("00000001", FIRST),
        ("1-bbbb-7000-8000-000000000002", THIRD),
    ],
)
def test_a_run_goes_by_its_id_a_part_of_it_or_as_the_latest(name: str, found: Run):
    assert find(RUNS, name) is found


@pytest.mark.parametrize("name", ["", " ", "-", "0189000", "0000001"])
@pytest.mark.parametrize("runs", [RUNS, RUNS[:1]])
def test_too_little_of_an_id_names_no_run(name: str, runs: tuple[Run, ...]):
    with pytest.raises(UnknownRunError, match="at least 8 characters"):
        find(runs, name)


@pytest.mark.parametrize("name", ["01890000", "01890000-", "-8000-000000000002"])
def test_a_part_of_several_ids_names_none(name: str):
    with pytest.raises(UnknownRunError, match="2 runs of that name"):
        find(RUNS, name)


@pytest.mark.parametrize(("name", "runs"), [("latest", ()), ("aaaa-7000", RUNS), ("LATEST-1", RUNS)])
def test_what_no_id_begins_or_ends_with_names_none(name: str, runs: tuple[Run, ...]):
    with pytest.raises(UnknownRunError, match="no run of that name"):
        find(runs, name)


@pytest.mark.parametrize(
    ("identity", "made"),
    [
        # The example of a version 7 in appendix A of RFC 9562.
        ("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", dt.datetime(2022, 2, 22, 19, 22, 22, tzinfo=dt.UTC)),
        ("919108f7-52d1-4320-9bac-f847db4148a8", None),
        ("latest", None),
    ],
)
def test_an_id_tells_when_it_was_made(identity: str, made: dt.datetime | None) -> None:
    assert made_at(identity) == made

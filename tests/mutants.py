"""Changes the code in small ways, one at a time, and looks whether its tests notice: `make mutants`.

    python -m tests.mutants --most 60 durability proofs

The changes are made by Cosmic Ray (https://cosmic-ray.readthedocs.io) in a copy of the code: of each area a sample
that does not change from run to run. Besides these there are lists of changes of our own (`mutants_by_hand`):
`known` and `sql`. It prints the score of each area and every change that nobody noticed. What changes nothing that
could be told counts neither way, and is printed with the reason (`mutants_without_effect`).
"""

import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import click

from tests import mutants_by_hand
from tests.mutants_without_effect import added, reason

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "build" / "mutants"
TOOL: Final = "cosmic-ray==8.7.0"
ANNOTATIONS: Final = "core/ReplaceBinaryOperator_BitOr_%"
"""Nearly all of these are unions of types, which nothing reads."""
WANTED: Final = 0.9


class Area(NamedTuple):
    """Code that matters, and the tests that have to notice when it changes."""

    code: tuple[str, ...]
    tests: tuple[str, ...]
    seconds: int = 120
    """How long the tests may take: beyond it, the change counts as noticed."""
    most: int = 1_000
    """How many changes are tried at most, whatever is asked for."""


AREAS: Final = {
    "durability": Area(
        ("receiver/durable/segments.py", "receiver/durable/segment_log.py", "receiver/durable/spool.py"),
        (
            "tests/receiver/durable/test_segments.py",
            "tests/receiver/durable/test_segment_log.py",
            "tests/receiver/durable/test_spool.py",
            "tests/receiver/durable/test_power_failure.py",
            "tests/receiver/durable/test_unnoticed_faults.py",
        ),
    ),
    "proofs": Area(
        ("receiver/proofs/signatures.py", "receiver/proofs/schemes.py", "receiver/chatplugin/tokens.py"),
        (
            "tests/receiver/proofs",
            "tests/receiver/chatplugin/test_tokens.py",
            "tests/receiver/sources/test_custom_source.py",
        ),
    ),
    "core": Area(
        (
            *("pipelines/core/bounds.py", "pipelines/core/ids.py", "pipelines/core/times.py"),
            *("pipelines/core/item.py", "pipelines/core/noted.py"),
        ),
        ("tests/pipelines/core",),
    ),
    "sink": Area(
        (
            "pipelines/bigquery/appender.py",
            "pipelines/bigquery/chunks.py",
            "pipelines/bigquery/culprits.py",
            "pipelines/bigquery/lane.py",
        ),
        ("tests/pipelines/bigquery/test_appender.py", "tests/pipelines/bigquery/test_chunks.py"),
    ),
    "reprocessing": Area(
        (
            "pipelines/reprocess/apply.py",
            "pipelines/reprocess/guards.py",
            "pipelines/reprocess/runs.py",
            "pipelines/reprocess/settle.py",
        ),
        (
            "tests/pipelines/reprocess/test_guards.py",
            "tests/pipelines/reprocess/test_runs.py",
            "tests/pipelines/reprocess/test_apply.py",
            "tests/pipelines/reprocess/test_settle.py",
        ),
        seconds=400,
        # Each takes a local BigQuery, and a minute or two.
        most=12,
    ),
    "limits": Area(
        ("receiver/web/bodies.py", "receiver/web/connections.py", "receiver/web/limits.py"),
        ("tests/receiver/web/test_bodies.py", "tests/receiver/web/test_connections.py"),
    ),
}


class Score(NamedTuple):
    """What the tests noticed of one area."""

    noticed: int
    survivors: list[str]
    without_effect: list[str]
    """Changes that nobody can notice, each with the reason."""

    @property
    def share(self) -> float:
        """Which part was noticed."""
        return self.noticed / max(1, self.noticed + len(self.survivors))


@click.command()
@click.argument("areas", nargs=-1, type=click.Choice([*AREAS, *mutants_by_hand.LISTS]))
@click.option("--most", default=40, show_default=True, help="Changes of each area.")
@click.option("--seed", default=19, show_default=True, help="Which of them.")
def main(areas: tuple[str, ...], most: int, seed: int) -> None:
    """Print how many small changes of the code its tests notice; fail below nine of ten."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    code = FOLDER / "code"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, files.decode().split("\0")):
        if (ROOT / name).is_file():
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, code / name)
    scores: dict[str, Score] = {}
    for name in areas or (*AREAS, *mutants_by_hand.LISTS):
        if name in AREAS:
            scores[name] = tried(name, AREAS[name], code, most, seed)
        else:
            scores[name] = listed(name, code)
    for name, score in scores.items():
        click.echo(f"{name}: {score.share:.0%} of {score.noticed + len(score.survivors)} changes are noticed")
        for survivor in score.survivors:
            click.echo(survivor)
        if score.without_effect:
            click.echo(f"{name}: {len(score.without_effect)} changes have no effect")
            click.echo("\n".join(score.without_effect))
    sys.exit(any(score.share < WANTED for score in scores.values()))


def tried(name: str, area: Area, code: Path, most: int, seed: int) -> Score:
    """Try a sample of an area's changes."""
    config, session = FOLDER / f"{name}.toml", FOLDER / f"{name}.sqlite"
    command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider --timeout=60 {' '.join(area.tests)}"
    modules = ", ".join(f'"{path}"' for path in area.code)
    config.write_text(
        f"[cosmic-ray]\nmodule-path = [{modules}]\ntimeout = {area.seconds}.0\nexcluded-modules = []\n"
        f'test-command = "{command}"\n[cosmic-ray.distributor]\nname = "local"\n'
    )
    subprocess.run(command.split(), cwd=code, check=True, stdout=subprocess.DEVNULL)
    cosmic_ray("init", config, session, folder=code)
    with sqlite3.connect(session) as database:
        of_annotations = "SELECT job_id FROM mutation_specs WHERE operator_name LIKE ?"
        database.execute(f"DELETE FROM work_items WHERE job_id IN ({of_annotations})", (ANNOTATIONS,))
        jobs = [
            job
            for (job,) in database.execute(
                "SELECT job_id FROM mutation_specs WHERE job_id IN (SELECT job_id FROM work_items) "
                "ORDER BY module_path, operator_name, occurrence"
            )
        ]
        kept = set(random.Random(seed).sample(jobs, min(most, area.most, len(jobs))))
        for table in ("work_items", "mutation_specs"):
            database.executemany(f"DELETE FROM {table} WHERE job_id = ?", [(j,) for j in jobs if j not in kept])
        database.execute("DELETE FROM mutation_specs WHERE job_id NOT IN (SELECT job_id FROM work_items)")
    cosmic_ray("exec", config, session, folder=code)
    with sqlite3.connect(session) as database:
        results = database.execute("SELECT test_outcome, diff FROM work_results").fetchall()
    survivors = [diff for outcome, diff in results if "SURVIVED" in str(outcome).upper()]
    wanted = [diff for diff in survivors if not reason(diff)]
    excused = [f"{why}: {added(diff)}" for diff in survivors if (why := reason(diff))]
    return Score(len(results) - len(survivors), wanted, excused)


def listed(name: str, code: Path) -> Score:
    """Try the changes of a list of our own."""
    changes = mutants_by_hand.LISTS[name]
    survivors = []
    for number, change in enumerate(changes, 1):
        noticed = mutants_by_hand.tried(change, code)
        if not noticed:
            survivors.append(f"{change.path}: {change.before!r} -> {change.after!r} ({change.tests})")
        click.echo(f"{name} {number}/{len(changes)} {'noticed' if noticed else 'NOT NOTICED'}: {change.path}")
    return Score(len(changes) - len(survivors), survivors, [])


def cosmic_ray(action: str, config: Path, session: Path, *, folder: Path) -> None:
    """Run Cosmic Ray, which is no part of the environment: it needs none of what we need."""
    uv = Path(sys.executable).with_name("uv")
    tool = [uv, "run", "--quiet", "--no-project", "--python", sys.executable, "--with", TOOL, "cosmic-ray"]
    subprocess.run([*map(str, tool), action, str(config), str(session)], cwd=folder, check=True)


if __name__ == "__main__":
    main()

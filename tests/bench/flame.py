"""Draws a profile as a flame graph: width is time, and each function lies on the one that called it.

    py-spy record --format raw --output STACKS -- COMMAND
    python -m tests.bench.flame STACKS PICTURE.svg

Of Beam and of libraries only the innermost function is shown: the picture is of Parley. Samples outside
of the pipeline, such as those of imports, are left out.
"""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

import click

WIDTH, HEIGHT = 1_200, 17
NARROWEST = 0.002
"""What has a smaller share is not drawn."""
ROOT = "_run_share (pipelines/run/batch.py)"
OURS = re.compile(r"\((pipelines|schemas)/")
LINE = re.compile(r":\d+\)")
COLOURS = {"normalize": "#f6a96b", "write": "#7fb6d6", "read": "#98c98a", "other": "#d0d0d0"}
LEADING = {"normalize_or_dead_letter": "normalize", "_Write.process": "write", "_Read.process": "read"}


class Frame(NamedTuple):
    """A function where it was called, and how many samples were in it."""

    name: str
    depth: int
    start: int
    samples: int
    kind: str


def stacks(text: str) -> Iterator[tuple[list[str], int]]:
    """Yield the frames of each stack, outermost first, and how many samples had it."""
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        names = LINE.sub(")", stack).split(";")
        if ROOT in names:
            inner = names[names.index(ROOT) :]
            yield [name for name in inner[:-1] if OURS.search(name)] + inner[-1:], int(count)


def frames(found: list[tuple[list[str], int]]) -> Iterator[Frame]:
    """Yield a frame for each call that stacks have in common."""
    yield from _level(sorted(found), 0, 0, "other")


def _level(found: list[tuple[list[str], int]], depth: int, start: int, kind: str) -> Iterator[Frame]:
    groups: dict[str, list[tuple[list[str], int]]] = {}
    for stack, samples in found:
        if len(stack) > depth:
            groups.setdefault(stack[depth], []).append((stack, samples))
    for name, members in groups.items():
        samples = sum(count for _, count in members)
        inner = LEADING.get(name.partition(" ")[0], kind)
        yield Frame(name, depth, start, samples, inner)
        yield from _level(members, depth + 1, start, inner)
        start += samples


def svg(found: list[Frame]) -> str:
    """Return the picture; a title tells the name and share of what the mouse is on."""
    total = sum(frame.samples for frame in found if frame.depth == 0)
    shown = [frame for frame in found if frame.samples >= NARROWEST * total]
    height = HEIGHT * (1 + max(frame.depth for frame in shown))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="11">'
    ]
    for frame in shown:
        x, width = WIDTH * frame.start / total, WIDTH * frame.samples / total
        y = height - HEIGHT * (frame.depth + 1)
        name = escape(frame.name)
        label = escape(frame.name.partition(" ")[0][: int(width / 6.2)]) if width > 20 else ""
        parts.append(
            f"<g><title>{name}: {frame.samples / total:.1%}</title>"
            f'<rect x="{x:.1f}" y="{y}" width="{max(0.3, width - 0.4):.1f}" height="{HEIGHT - 1}" '
            f'fill="{COLOURS[frame.kind]}"/><text x="{x + 2:.1f}" y="{y + 12}">{label}</text></g>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


@click.command()
@click.argument("profile", type=click.Path(path_type=Path, exists=True))
@click.argument("picture", type=click.Path(path_type=Path))
def main(profile: Path, picture: Path) -> None:
    """Draw the stacks that py-spy has recorded."""
    picture.write_text(svg(list(frames(list(stacks(profile.read_text("utf-8")))))), "utf-8")


if __name__ == "__main__":
    main()

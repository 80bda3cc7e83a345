"""Draws who imports whom, room by room, into docs/architecture.md: `make graph`; `make lint` checks it.

A room is a package or module right below `pipelines` or `receiver`. The arrows are those of the code, by the
same graph that `make lint` checks. One that other arrows lead along anyway is left out: `run` reaches `core`
by way of `io`.
"""

import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: written by make graph -->\n", "<!-- /rooms -->\n"
PACKAGES = ("pipelines", "receiver", "schemas")

Arrows = set[tuple[str, str]]


def arrows() -> Arrows:
    """Return which room imports which, imports for type checkers alone left aside."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    found = {
        (room(module), room(imported))
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }
    return {(one, other) for one, other in found if one != other}


def room(module: str) -> str:
    package, *rest = module.split(".")
    return package if package == "schemas" or not rest else f"{package}.{rest[0]}"


def reach(given: Arrows) -> Arrows:
    """Return every pair of rooms of which one reaches the other over any number of arrows."""
    reached = set(given)
    while more := {(a, d) for a, b in reached for c, d in given if b == c} - reached:
        reached |= more
    return reached


def drawn(given: Arrows) -> Arrows:
    """Return the fewest arrows that say the same; there must be no circle."""
    reached = reach(given)
    return {(a, b) for a, b in given if not any((a, c) in reached and (c, b) in reached for _, c in given)}


def picture(given: Arrows) -> str:
    """Return the rooms and their arrows as a Mermaid diagram."""
    shown = drawn(given)
    rooms = sorted({each for arrow in given for each in arrow})
    lines = ["```mermaid", "flowchart TD"]
    for package in ("pipelines", "receiver"):
        lines.append(f"    subgraph {package}")
        lines += [f"        {name}[{name.partition('.')[2]}]" for name in rooms if name.startswith(f"{package}.")]
        lines.append("    end")
    lines.append("    schemas")
    for name in rooms:
        if below := sorted(other for one, other in shown if one == name):
            lines.append(f"    {name} --> {' & '.join(below)}")
    return "\n".join([*lines, "```\n"])


def written(page: str, given: Arrows) -> str:
    """Return the page with the picture of these arrows in the place of the one that it has."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"{PAGE.name} has lost the lines between which the picture is written"
    return before + BEGIN + picture(given) + END + after


if __name__ == "__main__":
    is_page = PAGE.read_text("utf-8")
    should_be = written(is_page, arrows())
    if "--check" not in sys.argv:
        PAGE.write_text(should_be, "utf-8")
    elif should_be != is_page:
        sys.exit("docs/architecture.md does not show the imports as they are: run `make graph`, and commit it")

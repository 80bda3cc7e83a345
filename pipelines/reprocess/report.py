"""A run's difference as one HTML file that loads nothing: to be looked at before deciding."""

import io
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any, Final

import jinja2
import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipelines.core.rows import TABLES
from pipelines.reprocess.diff import Difference, Sample
from pipelines.reprocess.runs import Run
from pipelines.reprocess.terminal import KINDS, cells

# Told apart without colour vision too (Okabe and Ito), and by order.
_COLORS: Final = {"added": "#009e73", "removed": "#d55e00", "changed": "#e69f00"}
_FEWEST_DAYS: Final = 6
_BEFORE, _AFTER = "#999999", "#0072b2"


def html(run: Run, difference: Difference) -> str:
    """Return the report of a run."""
    templates = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = resources.files(__package__).joinpath("report.html.j2").read_text("utf-8")
    moved = [total for total in difference.totals if total.added or total.removed or total.changed]
    counts = {name: numbers for name, numbers in difference.by_table().items() if name in TABLES}
    charts = [
        ("Rows that differ, by table", _chart(_by_table(difference), len({total.table for total in moved}))),
        ("Rows that differ, by day of receipt", _chart(_by_day(difference), 6)),
        ("Dead letters before and after", _chart(_letters(difference), len(difference.letters))),
    ]
    return templates.from_string(text).render(
        run=run,
        counts=counts,
        kinds=KINDS,
        moved=moved,
        difference=difference,
        charts=charts if moved else [],
        samples=[(sample, list(cells(sample))) for sample in difference.samples],
        title=_title,
    )


def _title(sample: Sample) -> str:
    return f"{sample.change} in {sample.table}, event {sample.event_id}"


def _chart(draw: Callable[[Axes], None], lines: int) -> Markup:
    """Return a drawing as SVG, its text as text."""
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "parley", "font.family": "sans-serif"}):
        figure = Figure(figsize=(9, 1.2 + 0.35 * max(lines, 2)), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    svg = file.getvalue()
    # Our own drawing, whose texts matplotlib has escaped.
    return Markup(svg[svg.index("<svg") :])  # noqa: S704


def _by_table(difference: Difference) -> Callable[[Axes], None]:
    counts = difference.by_table()
    names = [name for name in reversed(TABLES) if any(counts[name][kind] for kind in _COLORS)]

    def draw(axes: Axes) -> None:
        left = [0] * len(names)
        for kind, color in _COLORS.items():
            widths = [counts[name][kind] for name in names]
            axes.barh(names, widths, 0.6, left=left, color=color, label=kind)
            left = [sum(pair) for pair in zip(left, widths, strict=True)]
        _finish(axes, "rows")

    return draw


def _by_day(difference: Difference) -> Callable[[Axes], None]:
    days = sorted({total.day for total in difference.totals})
    names = [str(day) for day in days]

    def draw(axes: Axes) -> None:
        bottom = [0] * len(days)
        for kind, color in _COLORS.items():
            heights = [sum(getattr(t, kind) for t in difference.totals if t.day == day) for day in days]
            axes.bar(names, heights, 0.6, bottom=bottom, color=color, label=kind)
            bottom = [sum(pair) for pair in zip(bottom, heights, strict=True)]
        axes.set_xticks(_some(range(len(names))), _some(names))
        # A day alone does not fill the page.
        axes.set_xlim(-0.5, max(len(names), _FEWEST_DAYS) - 0.5)
        axes.set_ylabel("rows")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        _explain(axes)

    return draw


def _letters(difference: Difference) -> Callable[[Axes], None]:
    kinds = list(reversed(difference.letters))
    names = [f"{kind.source} {kind.stage}: {kind.error_class}" for kind in kinds]

    def draw(axes: Axes) -> None:
        places = range(len(kinds))
        axes.barh([p + 0.2 for p in places], [kind.before for kind in kinds], 0.4, color=_BEFORE, label="before")
        axes.barh([p - 0.2 for p in places], [kind.after for kind in kinds], 0.4, color=_AFTER, label="after")
        axes.set_yticks(list(places), names)
        _finish(axes, "dead letters")

    return draw


def _finish(axes: Axes, label: str) -> None:
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _explain(axes)


def _explain(axes: Axes) -> None:
    """Say above the drawing what its colours mean, where no bar is in the way."""
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0)


def _some(items: Sequence[Any]) -> list[Any]:
    """Return at most eight of them, evenly spread: more labels than that run into each other."""
    return list(items[:: max(1, -(-len(items) // 8))])

"""Draws cost against volume."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter


def draw(ways: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> None:
    """Draw microseconds an event against events for each way, as SVG with text as text."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "parley", "font.family": "sans-serif"})
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, points in ways.items():
        if points:
            volumes, costs = zip(*((events, 1e6 * seconds / events) for events, seconds in points), strict=True)
            axes.plot(volumes, costs, marker="o", markersize=4, linewidth=1.5, label=name)
    axes.set(xscale="log", yscale="log", xlabel="events", ylabel="microseconds an event")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(visible=True, which="both", linewidth=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    figure.savefig(path, metadata={"Date": None, "Creator": None})

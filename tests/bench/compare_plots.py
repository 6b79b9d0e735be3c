"""The growth curves, drawn from the rows that were measured. The only module here that imports matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from compare_report import NAMES, sizes
from compare_rows import Row, latest, spread

GROWTH = "growth.svg"
# Colours of Okabe and Ito, 2008: told apart by people with any colour vision.
_COLOURS = {
    "citewell": "#0072B2",
    "citewell-http": "#56B4E9",
    "txtai": "#D55E00",
    "haystack": "#009E73",
    "plain": "#000000",
}
Curve = list[tuple[int, float]]


def _seconds(row: Row) -> float:
    return spread(row.values["seconds"]).median


# What is drawn: title, unit, which measure, and its value.
PANELS: tuple[tuple[str, str, str, Callable[[Row], float]], ...] = (
    ("Index from ready vectors", "seconds", "index", _seconds),
    ("Peak memory while doing so", "MB", "index", lambda row: row.values["peak"] / 1e6),
    ("Disk", "MB", "index", lambda row: row.values["disk"] / 1e6),
    ("A whole question, median", "ms", "ask", lambda row: row.values["p50"]),
    ("A whole question, 95 %", "ms", "ask", lambda row: row.values["p95"]),
    ("Resident memory while asking", "MB", "ask", lambda row: row.values["memory"].get("rss", 0) / 1e6),
)


def curves(rows: Sequence[Row], measure: str, value: Callable[[Row], float]) -> dict[str, Curve]:
    """Return each side's points, passages ascending; a size that a side could not take has none."""
    last = latest(rows)
    found: dict[str, Curve] = {}
    for size, n in sizes(rows, ["index"]):
        for side in NAMES:
            row = last.get((measure, size, side))
            if row is None or not n or not (row.values.get("seconds") or row.values.get("ms")):
                continue
            if (point := value(row)) > 0:  # memory is not known of a side that was ended while it was asked
                found.setdefault(side, []).append((n, point))
    return found


def draw(rows: Sequence[Row], folder: Path) -> Iterator[Path]:
    """Draw all panels into one small file; yields its path, or nothing where no size was measured."""
    if not sizes(rows, ["index"]):
        return
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    # Text stays text, and the same rows make the same bytes.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "citewell", "font.size": 8})
    figure, axes = pyplot.subplots(2, 3, figsize=(10, 6), layout="constrained")
    for axis, (title, unit, measure, value) in zip(axes.flat, PANELS, strict=True):
        for side, points in curves(rows, measure, value).items():
            x, y = zip(*points, strict=True)
            axis.plot(x, y, marker="o", markersize=3, color=_COLOURS[side], label=NAMES[side])
        axis.set(title=title, xlabel="passages", ylabel=unit, xscale="log", yscale="log")
        axis.minorticks_off()  # they were most of the file
        axis.grid(visible=True, alpha=0.3)
    lines, labels = axes.flat[3].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=len(labels))
    path = folder / GROWTH
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    yield path

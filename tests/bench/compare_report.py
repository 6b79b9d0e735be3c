"""
RESULTS.md from the rows that were measured. Measures nothing; `compare_plots.py` draws the curves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from compare_rows import Row, Spread, latest, ratio, spread

RESULTS = "RESULTS.md"
OURS = "citewell"
NAMES = {
    "citewell": "Citewell",
    "citewell-http": "Citewell over HTTP",
    "txtai": "txtai",
    "haystack": "Haystack",
    "plain": "plain script",
}
_ADDED = {
    "headings": "title and headings before each passage",
    "own-split": "its own splitting",
    "concatenated": "joined as its tutorial does before reranking",
}
# A side is called better or worse from here on; less is noise.
_TELLING = 1.05
# Cores that other work may take before a figure is marked.
_BUSY = 0.1

_INTRO = """
# Citewell beside what its users would pick instead

Made by `make bench` (`tests/bench/compare.py`) from `results.jsonl`; not written by hand. Every side has the same
documents and the same embedding model, all-MiniLM-L6-v2, offline, and processes of its own; sides take turns, and the
plain script is the control of every run. "Times" is how many times Citewell's figure a side's is: the median over what
was done in turn (repeats, or questions), with quartiles, or all of it where there are under eight. Above 1 Citewell is
faster or smaller.

What each side does, as its documentation begins:

- **Citewell**: all of it, as `citewell ask` has it: spelling, names, crisis notices, ranking on four kinds of evidence,
  abstaining, sentences that carry the answer, citations, every quote checked against its document.
- **txtai**: `Embeddings(path=..., content=True, hybrid=True)`: BM25 and faiss fused, texts in SQLite.
- **Haystack**: InMemoryDocumentStore, BM25 and embedding retrievers, DocumentJoiner by reciprocal rank. Its tutorial
  lets a cross-encoder order the joined list; that model can't be had offline and is left out. Its sentence-transformers
  embedders are a package of their own since version 3; a component that calls `SentenceTransformer.encode` with their
  defaults stands for them.
- **Plain script**: `SentenceTransformer.encode` with its defaults, `IndexFlatIP`, a list of texts. No words, no files.

Passages: where sides embed, Haystack splits by itself (DocumentSplitter, 200 words, its default) and the others, whose
documentation begins with a list of texts, get Citewell's passages, text alone. Where vectors are ready, all get the
same passages.
"""


def write_report(rows: Sequence[Row], folder: Path) -> Iterator[Path]:
    """Write RESULTS.md and the plots beside it; yield their paths."""
    from compare_plots import draw

    path = folder / RESULTS
    path.write_text("\n".join(report_lines(rows)) + "\n", "utf-8")
    yield path
    yield from draw(rows, folder)


def report_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the report."""
    yield from _INTRO.strip().splitlines()
    yield from _machine(rows)
    yield from _against_us(rows)
    yield from _building(rows)
    yield from _asking(rows)
    yield from _starting(rows)
    yield from _quality(rows)
    yield "\n## Growth\n"
    yield "![Building, memory, disk and asking against the number of passages](growth.svg)"


def sizes(rows: Iterable[Row], measures: Sequence[str]) -> list[tuple[str, int]]:
    """Return the sizes that were measured in any of these ways, with the number of Citewell's passages, ascending."""
    found: dict[str, int] = {}
    for row in rows:
        if row.measure in ("build", "index") and row.size not in found:
            found[row.size] = 0
        if row.measure in ("build", "index") and row.side == OURS:
            found[row.size] = int(row.values.get("n", 0))
    held = {row.size for row in rows if row.measure in measures}
    return sorted(((size, n) for size, n in found.items() if size in held), key=lambda pair: pair[1])


def name_of(side: str) -> str:
    """Return a side as readers know it: "txtai, title and headings before each passage"."""
    first, *added = side.split("+")
    return ", ".join([NAMES.get(first, first), *(_ADDED.get(a, a) for a in added)])


def describe(size: str, n: int, rows: Sequence[Row]) -> str:
    """Return what a size is: "46,411 passages (medquad, whole)"."""
    about = latest(rows).get(("size", size, ""))
    kind = about.values["kind"] if about else ""
    base = about.values["base"] if about else ""
    what = {
        "sample": f"random documents of {base}",
        "whole": f"all of {base}",
        "perturbed": f"{base}, copied with changed words and noisy vectors",
    }.get(kind, size)
    return f"{n:,} passages ({what})"


def _machine(rows: Sequence[Row]) -> Iterator[str]:
    runs = [row for row in rows if row.measure == "run"]
    yield "\n## Where and when\n"
    for run in runs:
        about = run.values["machine"]
        yield (
            f"- {run.run}: `{run.values['command']}`; {about['processor']}, {about['instructions']}; {about['cores']} "
            f"cores, {about['memory']}; {about['kernel']}, Python {about['python']}. Limits: "
            f"{run.values['limits']['build_s']:.0f} s for a build, {run.values['limits']['ask_s']:.0f} s for one "
            f"side's questions, {run.values['limits']['memory_gb']:g} GB for a process."
        )
    if runs:
        found = runs[-1].values["versions"]
        yield "- Versions: " + ", ".join(f"{name} {version}" for name, version in found.items()) + "."
        cores = int(runs[-1].values["machine"]["cores"])
        busy = [row.others for row in rows if row.others > _BUSY]
        if busy:
            yield (
                f"\n**Other work ran on the machine**: {len(busy)} figures, marked `*`, were taken while it used more "
                f"than {_BUSY:g} of the {cores} cores (median {spread(busy).median:.1f}). Times are then too long. "
                "Ratios are off as well: a model on two threads waits for the slower one, so that sides that run it so "
                "lose more than Citewell, which answers on one."
            )


def _mark(row: Row) -> str:
    return " *" if row.others > _BUSY else ""


def _times(found: Spread | None, side: str) -> str:
    if side == OURS:
        return "1"
    if found is None:
        return "–"
    alone = _short(found.median)
    return alone if found.n == 1 else f"{alone} ({_short(found.low)}–{_short(found.high)})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _mb(value: float) -> str:
    return f"{value / 1e6:,.0f}"


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for line in lines:
        yield "| " + " | ".join(line) + " |"


def _of(rows: Sequence[Row], measure: str, size: str) -> list[Row]:
    found = [row for key, row in latest(rows).items() if key[:2] == (measure, size)]
    order = list(NAMES)
    return sorted(found, key=lambda row: (order.index(row.side.split("+")[0]), row.side))


def _building(rows: Sequence[Row]) -> Iterator[str]:
    yield "\n## Building\n"
    yield (
        "From documents to a saved index, each side embedding for itself; imports and loading the model are not "
        "counted. Citewell reads the source files, splits, makes a vector for each sentence too, and verifies "
        "everything; the others begin with texts in memory. Disk is what answering needs, Citewell's exported encoder "
        "(91 MB) included and the others' model not, as they use the one in the environment."
    )
    for size, n in sizes(rows, ["build"]):
        yield f"\n**{describe(size, n, rows)}**"
        yield from _built(rows, "build", size)
    yield "\n### The index alone, from ready vectors\n"
    yield (
        "No side runs the model. For Citewell this is everything from the catalogue to publishing, on its own writers, "
        "with evidence vectors for every sentence, the choice of a dense index by measured recall, checksums, and the "
        "check of every promise. Citewell's process does not load torch here; the others' do, 0.5 GB."
    )
    for size, n in sizes(rows, ["index"]):
        yield f"\n**{describe(size, n, rows)}**"
        yield from _built(rows, "index", size)


def _built(rows: Sequence[Row], measure: str, size: str) -> Iterator[str]:
    lines = []
    for row in _of(rows, measure, size):
        v = row.values
        if not v.get("seconds"):
            lines.append([NAMES[row.side], v["failed"], *["–"] * 5])
            continue
        s = spread(v["seconds"])
        seconds = f"{s.median:,.1f}" + (f" ({s.low:,.1f}–{s.high:,.1f})" if s.n > 1 else "")
        found = ratio(rows, measure, size, row.side, OURS, "seconds")
        lines.append(
            [NAMES[row.side], f"{v['n']:,}", seconds + _mark(row), f"{v['n'] / s.median:,.0f}",
             _times(found, row.side), _mb(v["peak"]), _mb(v["disk"])]
        )  # fmt: skip
    yield from _table(["side", "passages", "seconds", "passages/s", "times", "peak MB", "disk MB"], lines)
    for row in _of(rows, measure, size):
        if phases := row.values.get("phases"):
            told = ", ".join(f"{name} {s:.1f}" for name, s in phases.items() if s >= 0.05)
            index = f"; nearest passages: {row.values['index']}" if row.values.get("index") else ""
            yield f"\n{NAMES[row.side]}'s seconds: {told}{index}."


def _asking(rows: Sequence[Row]) -> Iterator[str]:
    yield "\n## Asking\n"
    yield (
        "A whole question in process, its vector included, with ten passages and their texts in hand; one at a time. "
        "Memory is that of the process after its questions: resident; its share of it (PSS: what n processes map "
        "counts as one n-th of it in each, and the sides that load torch share its libraries here); and what no file "
        "backs (the rest is shared with further processes, or given back when memory is short)."
    )
    for size, n in sizes(rows, ["ask"]):
        yield f"\n**{describe(size, n, rows)}**"
        lines = []
        for row in _of(rows, "ask", size):
            v = row.values
            if "+" in row.side:
                continue
            if not v["n"]:
                lines.append([NAMES[row.side], v["failed"], *["–"] * 7])
                continue
            found = ratio(rows, "ask", size, row.side, OURS, "ms")
            asked = f"{v['n']}, then it {v['failed']}" if v["failed"] else str(v["n"])
            taken = [f"{v[p]:,.1f}" for p in ("p50", "p95", "p99")]
            held = [_mb(v["memory"].get(kind, 0)) if v["memory"] else "–" for kind in ("rss", "pss", "own")]
            lines.append([NAMES[row.side], asked, *taken, _times(found, row.side) + _mark(row), *held])
        header = ["side", "questions", "p50 ms", "p95 ms", "p99 ms", "times", "resident MB", "share MB", "own MB"]
        yield from _table(header, lines)


def _starting(rows: Sequence[Row]) -> Iterator[str]:
    yield "\n## From a process's start to its first answer\n"
    yield "Seconds, with files in the page cache. Citewell checks the SHA-256 of every file of the index first."
    found = sizes(rows, ["start"])
    lines = []
    for side, name in NAMES.items():
        cells = []
        for size, _ in found:
            row = latest(rows).get(("start", size, side))
            if row is None:
                cells.append("–")
            elif not row.values["seconds"]:
                cells.append(row.values["failed"])
            else:
                cells.append(f"{spread(row.values['seconds']).median:.1f}{_mark(row)}")
        lines.append([name, *cells])
    yield from _table(["side", *(f"{n:,}" for _, n in found)], lines)


def _quality(rows: Sequence[Row]) -> Iterator[str]:
    yield "\n## Quality\n"
    yield (
        "Labelled questions, n of them with a label that the collection holds; a returned passage is right when it and "
        "a labelled span share half of either, whichever side cut it. Intervals are 95 %, by bootstrap over questions. "
        "`answered`: the share of questions that got passages at all, at each side's default; near is on the library's "
        "subject with nothing in it that answers, far is on another subject. Peers have no such thing as not answering."
    )
    for size, n in sizes(rows, ["quality"]):
        found = _of(rows, "quality", size)
        yield f"\n**{describe(size, n, rows)}**"
        lines = []
        for row in found:
            v = row.values
            hits = [_estimate(v[m]) for m in ("hit@1", "hit@3", "hit@5", "mrr@10")]
            shares = [_share(v[f"answered_{g}"]) for g in ("answerable", "near", "far")]
            lines.append([name_of(row.side), str(v["n"]), *hits, *shares])
        header = ["side", "n", "hit@1", "hit@3", "hit@5", "MRR@10", "answered", "near answered", "far answered"]
        yield from _table(header, lines)


def _estimate(found: dict[str, Any] | None) -> str:
    return "–" if found is None else f"{found['value']:.3f} ({found['low']:.2f}–{found['high']:.2f})"


def _share(found: dict[str, Any]) -> str:
    return "–" if found["share"] is None else f"{found['share']:.2f} of {found['n']}"


def _against_us(rows: Sequence[Row]) -> Iterator[str]:
    """Tell every figure in which a peer is better, so that nobody has to look for it."""
    yield "\n## What it shows against us\n"
    found = list(worse_figures(rows))
    yield from [f"- {line}" for line in found] or ["Nothing: no peer was better in any figure below."]


def worse_figures(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a sentence for each figure in which a peer is better than Citewell by more than noise."""
    yield from _slower(rows)
    for size, n in sizes(rows, ["ask"]):
        for row, ours in _beside_ours(rows, "ask", size):
            if row.values["n"] and ours.values["n"]:
                yield from _worse_tails(row.values, ours.values, name_of(row.side), n)
    for measure, value, verb in (("build", "peak", "building peaks at"), ("index", "disk", "the index takes")):
        for size, n in sizes(rows, [measure]):
            for row, ours in _beside_ours(rows, measure, size):
                one, two = row.values.get(value, 0), ours.values.get(value, 0)
                if 0 < one < two:
                    yield (
                        f"{name_of(row.side)}: {verb} {_mb(one)} MB at {n:,} passages, Citewell's {_mb(two)} "
                        f"({two / one:.1f} times)."
                    )
    for size, n in sizes(rows, ["quality"]):
        for row, ours in _beside_ours(rows, "quality", size):
            for name in ("hit@1", "hit@3", "hit@5", "mrr@10"):
                one, two = row.values[name], ours.values[name]
                if one and two and one["value"] > two["value"]:
                    yield (
                        f"{name_of(row.side)}: {name} {one['value']:.3f} at {n:,} passages, Citewell's "
                        f"{two['value']:.3f}."
                    )


def _slower(rows: Sequence[Row]) -> Iterator[str]:
    for measure, value, verb in (
        ("build", "seconds", "builds"),
        ("index", "seconds", "makes an index of ready vectors"),
        ("ask", "ms", "answers"),
        ("start", "seconds", "starts"),
    ):
        for size, n in sizes(rows, [measure]):
            for row, _ in _beside_ours(rows, measure, size):
                times = ratio(rows, measure, size, row.side, OURS, value)
                if times is not None and 0 < times.median < 1 / _TELLING:
                    yield f"{name_of(row.side)} {verb} {1 / times.median:.1f} times as fast at {n:,} passages."


def _worse_tails(peer: dict[str, Any], ours: dict[str, Any], name: str, n: int) -> Iterator[str]:
    for share in ("p95", "p99"):
        if peer[share] * _TELLING < ours[share]:
            yield f"{name}: {share} {peer[share]:,.1f} ms at {n:,} passages, Citewell's {ours[share]:,.1f}."
    one, two = peer["memory"].get("rss", 0), ours["memory"].get("rss", 0)
    if 0 < one < two:
        yield f"{name} holds {_mb(one)} MB at {n:,} passages, Citewell {_mb(two)}."


def _beside_ours(rows: Sequence[Row], measure: str, size: str) -> Iterator[tuple[Row, Row]]:
    ours = latest(rows).get((measure, size, OURS))
    if ours is not None:
        yield from ((row, ours) for row in _of(rows, measure, size) if not row.side.startswith(OURS))

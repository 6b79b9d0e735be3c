"""
One run: material made, sides built, started and asked in turn, every row kept. `compare.py` says what to measure.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from compare_material import make_plan
from compare_process import (
    HttpWorker,
    Limits,
    Meter,
    SideFailed,
    Worker,
    first_answer,
    folder_bytes,
    read_through,
    working,
)
from compare_quality import Judged, judge, place_labels, summarise
from compare_rows import Row, add_row, latency, spread
from compare_side import Job
from compare_size import VARIANTS, Collection, Entry, Places, SizeRun

from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from service.questions import LabelledQuestion, read_questions

SMALL = 50_000  # up to here builds and starts are repeated
EMBEDDED = 5_000  # up to here every side makes its vectors itself
HTTP = "citewell-http"
# With medquad as the base, and without; quick takes the starter library whatever is at hand.
FULL_SIZES, WITHOUT_DATA, QUICK_SIZES = "2000,base,350000,1000000", "base,2000", "base,500"
_WARM_UP = 3
_PAUSE_S = 0.01


def sizes_of(options: argparse.Namespace, base: Collection) -> list[int]:
    """Return the sizes to measure; 0 is the whole base."""
    default = QUICK_SIZES if options.quick else FULL_SIZES if base.name == "medquad" else WITHOUT_DATA
    return [0 if size == "base" else int(size) for size in (options.sizes or default).split(",") if size]


def evenly(questions: Sequence[LabelledQuestion], n: int) -> list[LabelledQuestion]:
    """Return n of the questions, evenly from the whole file; all of them for 0."""
    if n == 0 or n >= len(questions):
        return list(questions)
    return [questions[i * len(questions) // n] for i in range(n)]


def rotated(items: Sequence[Any], turn: int) -> list[Any]:
    """Return the items, another one first each time."""
    first = turn % len(items)
    return [*items[first:], *items[:first]]


class Run:
    """State of one run."""

    def __init__(self, started: str, options: argparse.Namespace, limits: Limits, sides: list[str]) -> None:
        self._started = started
        self._options = options
        self._limits = limits
        self._sides = sides
        self._work = Path(options.work).resolve()
        self._n_questions = 20 if options.quick else options.questions
        self._repeats = 1 if options.quick else options.repeats

    def measure_collection(self, collection: Collection) -> None:
        """Measure a small collection: every side embeds it itself and gets all its questions."""
        self._measure(collection, 0, all_questions=not self._options.quick)

    def measure_size(self, base: Collection, size: int) -> None:
        """Measure one size of the base."""
        self._measure(base, size)

    def _measure(self, collection: Collection, size: int, *, all_questions: bool = False) -> None:
        index = self._index_of(collection)
        with open_snapshot(IndexDir(index), check_sha256=False) as base:
            plan = make_plan(list(base.catalogue.iter_documents()), size)
            label = collection.name if plan.kind == "whole" else str(size)
            folder = self._work / f"size-{label}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            asked = evenly(read_questions(collection.questions).questions, 0 if all_questions else self._n_questions)
            about = {"n": plan.n_passages, "documents": plan.n_documents, "kind": plan.kind, "base": collection.name}
            self.keep("size", label, "", {**about, "questions": len(asked)})
            embeds = plan.kind != "perturbed" and (plan.n_passages <= EMBEDDED or self._options.whole)
            size_run = SizeRun(self._sides, self._limits, collection.corpus, index, folder, size, plan)
            size_run.prepare(base, embeds=embeds)
            entries = size_run.entries(embeds=embeds)
            # Both ways of building where there are two, so that the growth curve has every size.
            if embeds and plan.kind != "whole":
                self._build(size_run.entries(embeds=False, name="ready"), label, plan.n_passages, "index")
            built = self._build(entries, label, plan.n_passages, "build" if embeds else "index")
            built = self._start(built, label, asked[0].text, plan.n_passages)
            replies = self._ask(built, label, asked)
            if plan.kind == "whole":
                # Where vectors were ready, the peers had Citewell's: good for clocks, not for judging.
                fair = [entry for entry in built if embeds or entry.side == "citewell"]
                self._judge(fair, label, asked, replies, base, own_split=embeds)
                for group in size_run.variants(base, self._variants(embeds=embeds)):
                    others = self._build(group, label, plan.n_passages, "variant")
                    replies = self._ask(others, label, asked, measure="ask-variant")
                    self._judge(others, label, asked, replies, base, own_split=False)
        if not self._options.keep:
            shutil.rmtree(folder)

    def _variants(self, *, embeds: bool) -> list[str]:
        """Return the variants to judge: none in a quick run, and none that sides made themselves."""
        wanted = [name for name in VARIANTS if name in self._options.variants.split(",")]
        return [] if self._options.quick else [name for name in wanted if name == VARIANTS[0] or not embeds]

    def _index_of(self, collection: Collection) -> Path:
        """Return an index of a collection, built once in the work folder where none was given."""
        if collection.index is not None:
            return collection.index.resolve()
        index = self._work / f"base-{collection.name}"
        if not (index / "CURRENT").exists():
            self._say(f"building an index of {collection.name}, once")
            path = index.with_suffix(".json")
            nothing = Path()
            Job(index, True, 0, nothing, nothing, collection.corpus.resolve(), nothing).write(path)
            with working("citewell", "build", path, self._limits) as worker:
                worker.read()
        return index

    def keep(self, measure: str, size: str, side: str, values: dict[str, Any], others: float = 0.0) -> None:
        """Keep a row and say it; `others`: cores that other work took meanwhile."""
        row = Row(self._started, measure, size, side, values, others)
        add_row(self._options.results, row)
        shown = {k: v for k, v in values.items() if not isinstance(v, list) or len(v) < 8}
        self._say(f"{measure} {size} {side}: {json.dumps(shown)} (others {row.others})")

    def _build(self, entries: list[Entry], label: str, n: int, measure: str) -> list[Entry]:
        """Build every entry, in turn; return those that were built, with the last repeat's index in place."""
        repeats = self._repeats if n <= SMALL and measure != "variant" else 1
        meter = Meter()
        done: dict[str, list[dict[str, Any]]] = {entry.label: [] for entry in entries}
        failed: dict[str, str] = {}
        for turn in range(repeats):
            for entry in rotated(entries, turn):
                if entry.label in failed:
                    continue
                shutil.rmtree(entry.folder, ignore_errors=True)
                try:
                    with working(entry.side, "build", entry.job, self._limits) as worker:
                        done[entry.label].append(worker.read())
                except SideFailed as error:
                    failed[entry.label] = str(error)
        others = meter.others()
        for entry in entries:
            values = _built_values(done[entry.label], entry, failed.get(entry.label, ""))
            self.keep(measure, label, entry.label, values, others)
        return [entry for entry in entries if entry.label not in failed]

    def _start(self, entries: list[Entry], label: str, question: str, n: int) -> list[Entry]:
        """Measure from the process's start to its first answer, in turn; return the sides that got that far."""
        starts: dict[str, list[float]] = {}
        failed: dict[str, str] = {}
        for entry in entries:
            read_through(entry.folder)
        meter = Meter()
        for turn in range(self._repeats if n <= SMALL else 1):
            for name, opened in rotated(self._openers(entries, with_http=True), turn):
                if name in failed:
                    continue
                try:
                    worker = opened()
                except SideFailed as error:
                    failed[name] = str(error)
                    continue
                try:
                    starts.setdefault(name, []).append(round(first_answer(worker, question, self._limits.seconds), 3))
                except SideFailed as error:
                    failed[name] = str(error)
                finally:
                    worker.end()
        others = meter.others()
        for name in (*starts, *(n for n in failed if n not in starts)):
            values = {"seconds": starts.get(name, []), "failed": failed.get(name, "")}
            self.keep("start", label, name, values, others)
        return [entry for entry in entries if entry.label not in failed]

    def _openers(self, entries: list[Entry], *, with_http: bool) -> list[tuple[str, Callable[[], Any]]]:
        found: list[tuple[str, Callable[[], Any]]] = []
        for entry in entries:
            found.append((entry.label, lambda e=entry: Worker(e.side, "ask", e.job, self._limits)))
            if with_http and entry.label == "citewell":
                found.append((HTTP, lambda e=entry: HttpWorker(e.folder, e.folder.parent / "serve", self._limits)))
        return found

    def _ask(
        self, entries: list[Entry], label: str, asked: list[LabelledQuestion], measure: str = "ask"
    ) -> dict[str, list[dict[str, Any]]]:
        """
        Ask every question of every side, in turn; a side that used up its time gets no more.

        What is asked to be judged may take four times as long: shares of fewer questions can't be compared.
        """
        seconds = self._options.ask_s * (1 if measure == "ask" else 4)
        replies: dict[str, list[dict[str, Any]]] = {}
        failed: dict[str, str] = {}
        meter = Meter()
        with ExitStack() as opened:
            workers: dict[str, Any] = {}
            for name, opener in self._openers(entries, with_http=measure == "ask"):
                try:
                    workers[name] = opener()
                    opened.callback(workers[name].end)
                    first_answer(workers[name], asked[0].text, self._limits.seconds)
                    for question in asked[:_WARM_UP]:
                        workers[name].ask({"question": question.text})
                except SideFailed as error:
                    failed[name] = str(error)
                    workers.pop(name, None)
                    continue
                replies[name] = []
            _ask_in_turn(workers, asked, replies, failed, seconds)
            held = {name: _memory(worker) for name, worker in workers.items() if name not in failed}
        others = meter.others()
        for name in (*replies, *(n for n in failed if n not in replies)):
            times = [reply["ms"] for reply in replies.get(name, [])]
            values = {"ms": times, "n": len(times), "failed": failed.get(name, ""), "memory": held.get(name, {})}
            self.keep(measure, label, name, values | (latency(times) if times else {}), others)
        return replies

    def _judge(
        self, entries: list[Entry], label: str, asked: list[LabelledQuestion],
        replies: dict[str, list[dict[str, Any]]], base: Snapshot, *, own_split: bool,
    ) -> None:  # fmt: skip
        """Judge all answers of the whole base by its labels; `own_split`: haystack split the documents itself."""
        known = {document.id for document in base.catalogue.iter_documents()}
        spans = [place_labels(q, lambda i: base.catalogue.text(i) if i in known else None) for q in asked]
        for entry in entries:
            places = Places(entry.texts)
            names = sorted({name for reply in replies.get(entry.label, []) for name in reply["others"]})
            for name in ("", *names):
                judged: list[Judged] = []
                for question, wanted, reply in zip(asked, spans, replies.get(entry.label, []), strict=False):
                    found = places.of(reply["others"][name] if name else reply["found"])
                    judged.append(judge(question, wanted, found, is_answered=reply["answered"] and bool(found)))
                if judged:
                    title = f"{entry.label}+own-split" if own_split and entry.label == "haystack" else entry.label
                    self.keep("quality", label, f"{title}+{name}" if name else title, summarise(judged))

    @staticmethod
    def _say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _built_values(done: list[dict[str, Any]], entry: Entry, failed: str) -> dict[str, Any]:
    if not done:
        return {"failed": failed}
    seconds = [d["seconds"] for d in done]
    last = done[-1]
    return {
        "seconds": seconds,
        "median_s": spread(seconds).median,
        "n": last["n"],
        "peak": max(d["peak"] for d in done),
        "disk": entry.disk_bytes() if not failed else 0,
        "disk_with_cache": folder_bytes(entry.folder) if not failed else 0,
        "phases": last.get("phases", {}),
        "index": last.get("index", ""),
        "failed": failed,
    }


def _ask_in_turn(
    workers: dict[str, Any], asked: list[LabelledQuestion], replies: dict[str, list[dict[str, Any]]],
    failed: dict[str, str], seconds: float,
) -> None:  # fmt: skip
    spent = dict.fromkeys(workers, 0.0)
    for turn, question in enumerate(asked):
        for name in rotated(list(workers), turn):
            if name in failed or spent[name] > seconds:
                continue
            # Threads of the side before spin for a moment before they sleep; this side must not pay for it.
            time.sleep(_PAUSE_S)
            try:
                reply = workers[name].ask({"question": question.text}, seconds)
            except SideFailed as error:
                failed[name] = str(error)
                continue
            spent[name] += reply["ms"] / 1000
            replies[name].append(reply)


def _memory(worker: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = worker.ask({"memory": True})
    except SideFailed:
        return {}
    return found

"""
One side in a process of its own: it builds, or it opens what it built and answers. `compare.py` starts it.

    python tests/bench/compare_side.py SIDE build|ask|split JOB.json

The job names folders; what is measured goes to standard output, one JSON object a line. When asking, every line of the
standard input is a question and is answered by one line; {"memory": true} is answered with what the process holds.
Clocks run around what the side does and not around reading the job, importing libraries and loading the model when
building, as that happens once; how long a process takes to its first answer is measured from outside. `split` writes
the chunks of a side that splits by itself into the job's `texts`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

TOP_K = 10
# A passage that was returned: its row in the texts that the side was given, or document, start and end.
Found = list[Any]


@dataclass(frozen=True, slots=True)
class Job:
    """
    What a side works with.

    `texts` is the folder of passages, `documents` the file of whole documents, `corpus` the folder of source files,
    `base` the index that ready vectors come from. `embed` says that the side makes vectors itself; else they are ready.
    """

    folder: Path  # where the side keeps its index
    embed: bool
    size: int
    texts: Path
    documents: Path
    corpus: Path
    base: Path

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read a job file."""
        found = json.loads(path.read_text("utf-8"))
        places = {name: Path(found[name]) for name in ("folder", "texts", "documents", "corpus", "base")}
        return cls(embed=found["embed"], size=found["size"], **places)

    def write(self, path: Path) -> None:
        """Write a job file."""
        found = {name: value if isinstance(value, int) else str(value) for name, value in asdict(self).items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found), "utf-8")


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What a side says to a question: at most TOP_K passages, best first.

    `is_answered`: False is an abstention; the passages are what would have been shown. `others`: the same question's
    passages by other ways of joining them.
    """

    found: list[Found]
    is_answered: bool
    others: dict[str, list[Found]]


class Side(Protocol):
    """One library under measurement."""

    def prepare(self, job: Job) -> None:
        """Import, load the model if the job embeds, and read the input into memory where a quick start has it there."""

    def build(self, job: Job) -> dict[str, Any]:
        """Build and save; return `n` (rows made) and what else is worth telling, `not_counted_s` among it."""

    def open(self, job: Job) -> None:
        """Open what was saved, ready to answer."""

    def ask(self, text: str) -> Reply:
        """Answer one question with the texts of the passages at hand."""


def memory() -> dict[str, int]:
    """Return what this process holds, in bytes: resident, its share, its own (no file behind it), and the most."""
    sizes = dict.fromkeys(("Rss", "Pss", "Anonymous", "VmHWM"), 0)
    for name in ("smaps_rollup", "status"):
        for line in Path(f"/proc/self/{name}").read_text("ascii", "replace").splitlines():
            key, _, value = line.partition(":")
            if key in sizes:
                sizes[key] = int(value.split()[0]) * 1024
    return {"rss": sizes["Rss"], "pss": sizes["Pss"], "own": sizes["Anonymous"], "peak": sizes["VmHWM"]}


def say(what: dict[str, Any]) -> None:
    """Write one line to the standard output that the process began with."""
    _OUT.write(json.dumps(what) + "\n")
    _OUT.flush()


def run_build(side: Side, job: Job) -> None:
    """Build once and tell what it took."""
    side.prepare(job)
    before = memory()["peak"]
    start = time.perf_counter()
    done = side.build(job)
    seconds = time.perf_counter() - start - done.pop("not_counted_s", 0.0)
    say({**done, "seconds": round(seconds, 3), "peak_before": before, **memory()})


def run_asking(side: Side, job: Job) -> None:
    """Answer until the input ends; the first answer tells from outside how long the start took."""
    side.open(job)
    for line in sys.stdin:
        asked = json.loads(line)
        if "memory" in asked:
            say(memory())
            continue
        start = time.perf_counter()
        reply = side.ask(asked["question"])
        taken = 1000 * (time.perf_counter() - start)
        say({"ms": round(taken, 3), "found": reply.found, "answered": reply.is_answered, "others": reply.others})


def main() -> None:
    """Run one side."""
    name, what, job_path = sys.argv[1:4]
    module = import_module(f"side_{name}")
    job = Job.read(Path(job_path))
    if what == "split":
        module.split(job)
        say({"done": True})
        return
    side: Side = module.make()
    if what == "build":
        run_build(side, job)
    else:
        run_asking(side, job)


if __name__ == "__main__":
    # Libraries print what they like; the protocol has a stream of its own.
    _OUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    main()

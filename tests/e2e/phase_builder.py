"""
Builds an index in forked processes that something happens to; test_build_faults.py runs it.

Usage: phase_builder.py CORPUS INDEX_DIR. For each line "SIGNAL PHASE begin|end" it forks a builder that sends itself
that signal when the phase begins or ends; "readonly" is a builder without the right to write, "limit BYTES" one whose
files may not grow larger, which stands for a full disk. It prints the builder's
process id, and after its end how it ended and the error's code, place and fix as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path

from index.build import build_index
from index.testing import HashingEmbedder
from ingest.errors import AppError

NOBODY = 65_534


def build(corpus: Path, index_dir: Path, number: int, wanted: str, moment: str) -> list[str]:
    """Build, and send this process a signal at one moment; return the error, [] without."""

    def on_progress(phase: str, done: int, total: int) -> None:
        if phase == wanted and (done == 0 if moment == "begin" else done == total):
            os.kill(os.getpid(), number)

    try:
        build_index(corpus, index_dir, HashingEmbedder(), on_progress=on_progress)
    except AppError as error:
        return [error.code, error.where, error.fix]
    return []


def main() -> None:
    """Fork a builder for each line."""
    corpus, index_dir = Path(sys.argv[1]), Path(sys.argv[2])
    # Once before forking, so that each builder finds its libraries loaded.
    build(corpus, index_dir.with_name("first"), 0, "", "")
    for line in sys.stdin:
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            words = line.split()
            if words[0] == "readonly":
                if os.getuid() == 0:
                    os.setuid(NOBODY)
                error = build(corpus, index_dir, 0, "", "")
            elif words[0] == "limit":
                # Python ignores the signal that comes with the limit, so writing fails with "File too large".
                resource.setrlimit(resource.RLIMIT_FSIZE, (int(words[1]), int(words[1])))
                error = build(corpus, index_dir, 0, "", "")
            else:
                error = build(corpus, index_dir, signal.Signals[words[0]], words[1], words[2])
            os.write(theirs, json.dumps(error).encode())
            os._exit(0)
        os.close(theirs)
        _say(child)
        _, status = os.waitpid(child, 0)
        with os.fdopen(ours) as pipe:
            _say([os.waitstatus_to_exitcode(status), json.loads(pipe.read() or "[]")])


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""
Measure rebuilding: `python tests/bench/bench_rebuild.py CORPUS [--index INDEX_DIR]`.

Prints, for one library, the seconds and the passages embedded of a build from nothing (left out with --index, a
finished index of the same corpus, which is copied), of reading everything again with cached vectors, of a build without
a change, and of adding one document. The first build that embeds loads the model: with --index that is the last one, as
if it were a command of its own. Processor seconds are those of all threads, and tell more than elapsed ones where other
work shares the machine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from index.build import build_index
from index.embed import SentenceTransformerEmbedder
from index.model_files import find_model

ADDED = "# Added\n\nA document that is new in the library.\n\n## When it begins\n\nIt begins within a day.\n"


def measure(what: str, corpus: Path, index_dir: Path, model: str) -> None:
    """Build once and print a line."""
    elapsed, processor = time.monotonic(), time.process_time()
    report = build_index(corpus, index_dir, SentenceTransformerEmbedder(find_model(model)))
    elapsed, processor = time.monotonic() - elapsed, time.process_time() - processor
    phases = " ".join(f"{phase} {seconds:.1f}" for phase, seconds in report.seconds.items())
    sys.stdout.write(
        f"{what}: {elapsed:.1f} s ({processor:.1f} s of processor), {report.n_documents} documents, "
        f"{report.n_read} read, {report.n_embedded} passages embedded, {report.n_reused} reused; {phases}\n"
    )
    sys.stdout.flush()


def main() -> None:
    """Measure each kind of build."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--index", type=Path, help="a finished index of the same corpus")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        corpus, index_dir = Path(name) / "corpus", Path(name) / "index"
        shutil.copytree(options.corpus, corpus)
        if options.index is None:
            measure("from nothing", corpus, index_dir, options.model)
        else:
            shutil.copytree(options.index, index_dir)
        (index_dir / "CURRENT").unlink()
        measure("everything read again, vectors cached", corpus, index_dir, options.model)
        measure("no change", corpus, index_dir, options.model)
        (corpus / "added-by-the-bench.md").write_text(ADDED)
        measure("one document added", corpus, index_dir, options.model)


if __name__ == "__main__":
    main()

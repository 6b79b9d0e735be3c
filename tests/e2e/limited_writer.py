"""
Writes under a file size limit, to stand for a full disk; test_store_full_disk.py runs it.

Usage: limited_writer.py INDEX_DIR PART LIMIT_BYTES. Says "ok", or code, place and sentence of the error as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from index.catalogue import write_catalogue
from index.dense import write_dense
from index.evidence_vectors import write_evidence
from index.lexical import LexicalRow, write_lexical
from index.model import PassageVectors
from index.store import IndexDir
from index.testing import tiny_documents, write_tiny_snapshot
from index.vector_cache import VectorCache
from ingest.errors import AppError

ROWS = np.eye(64, dtype=np.float32)[np.arange(5_000) % 64]


def _words() -> list[LexicalRow]:
    return [LexicalRow(i, "t", "", " ".join(f"w{i}x{j}" for j in range(20))) for i in range(3_000)]


def _cache(folder: Path) -> str:
    with VectorCache.open(folder / "vectors.sqlite") as cache:
        cache.put_many("m", ((str(i), PassageVectors(row, row[None, :])) for i, row in enumerate(ROWS)))
        cache.keep_only("m", ["1"])
    return "; ".join(cache.warnings)


PARTS: dict[str, Callable[[Path], object]] = {
    "dense": lambda folder: write_dense(folder / "dense.faiss", ROWS),
    "evidence": lambda folder: write_evidence(folder, (row[None, :] for row in ROWS)),
    "lexical": lambda folder: write_lexical(folder / "lexical", _words()),
    "catalogue": lambda folder: write_catalogue(folder / "catalogue.sqlite", tiny_documents()),
    "snapshot": lambda folder: write_tiny_snapshot(IndexDir(folder)),
    "cache": _cache,
}


def main() -> None:
    """Write one part."""
    folder, part, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    # Python ignores the signal that comes with the limit, so writing fails with "File too large".
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        said = PARTS[part](folder)
        answer: object = said if part == "cache" else "ok"
    except AppError as error:
        answer = [error.code, error.where, error.what, error.fix]
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()

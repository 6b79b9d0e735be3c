"""A withdrawn document is nowhere any more: every file is searched, compressed ones are read back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import tantivy

from index.build import build_index
from index.forget import ForgetReceipt, forget_document
from index.lexical import LexicalIndex, analyze
from index.store import IndexDir
from index.testing import HashingEmbedder

CANARY = "Xyzzyquux"
NAME = "plughword.md"
TEXT = f"# {CANARY} heading\n\n{CANARY} stands here alone. It was wrong, and nobody may read it again.\n"
TRACES = [CANARY, CANARY.lower(), "plughword", "nobody may read it again"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for n in range(4):
        (folder / f"keep-{n}.md").write_text(f"# Part {n}\n\nThis stays here, number {n}. It says something.\n")
    (folder / NAME).write_text(TEXT)
    return folder


def build(corpus: Path, index_dir: Path) -> str:
    return build_index(corpus, index_dir, HashingEmbedder()).snapshot_id


def canary_vectors() -> list[bytes]:
    """Return the canary's vectors as any file would hold them."""
    texts = [f"{CANARY} heading. {CANARY} stands here alone. It was wrong, and nobody may read it again."]
    texts += [f"{CANARY} stands here alone.", "It was wrong, and nobody may read it again."]
    texts += [" ".join(texts[1:])]
    rows = HashingEmbedder().encode_queries(texts)
    return [row.astype(kind).tobytes() for row in rows for kind in ("<f2", "<f4")]


def traces_in(folder: Path, skip: set[str] = frozenset()) -> Iterator[str]:
    """Yield every file that holds a trace in any encoding, or a vector; `skip` names snapshots."""
    needles = [t.encode(encoding) for t in TRACES for encoding in ("utf-8", "utf-16-le", "utf-16-be")]
    needles += [t.upper().encode() for t in TRACES] + canary_vectors()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not skip & set(p.parts)):
        content = path.read_bytes()
        if any(needle in content for needle in needles):
            yield path.relative_to(folder).as_posix()


def lexical_leaks(snapshot: Path) -> list[str]:
    """Return what tantivy gives back of the canary: terms (packed on the disk) and stored fields (compressed)."""
    terms = LexicalIndex.open(snapshot / "lexical").vocabulary
    searcher = tantivy.Index.open(str(snapshot / "lexical")).searcher()
    hits = searcher.search(tantivy.Query.all_query(), 10_000).hits
    stored = [searcher.doc(address).to_dict() for _, address in hits]
    assert len(hits) == searcher.num_docs > 0
    return [t for t in terms if t in analyze(TEXT) and t not in analyze("It was says something")] + [
        str(fields) for fields in stored if fields
    ]


def free_pages(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def test_the_search_finds_what_is_there(corpus: Path, tmp_path: Path) -> None:
    """This ensures that the other tests can fail: all that should be searched holds the canary while it is in."""
    index_dir = tmp_path / "index"

    snapshot = build(corpus, index_dir)

    found = [name.rpartition("/")[2] for name in traces_in(index_dir)]
    assert {"catalogue.sqlite", "dense.faiss", "evidence.npy", "vectors.sqlite"} <= set(found)
    assert analyze(CANARY)[0] in lexical_leaks(index_dir / "snapshots" / snapshot)


def test_withdrawing_and_building_leaves_nothing(corpus: Path, tmp_path: Path) -> None:
    """This ensures that after a rebuild no file but those of older snapshots holds a word, the name or a vector."""
    index_dir = tmp_path / "index"
    old = build(corpus, index_dir)
    staging = index_dir / "snapshots" / ".staging-1-dead"
    staging.mkdir()
    (staging / "catalogue.sqlite").write_text(TEXT)
    (corpus / NAME).unlink()

    new = build(corpus, index_dir)

    assert list(traces_in(index_dir, skip={old})) == []
    assert lexical_leaks(index_dir / "snapshots" / new) == []
    assert not staging.exists()
    for file in ("catalogue.sqlite", "permalinks.sqlite"):
        assert free_pages(index_dir / "snapshots" / new / file) == 0


def test_forgetting_leaves_nothing_at_all(corpus: Path, tmp_path: Path) -> None:
    """This ensures that after `forget` no file of the index folder holds anything, and the cache has no free page."""
    index_dir = tmp_path / "index"
    olds = [build(corpus, index_dir) for _ in range(2)]
    (corpus / "keep-0.md").write_text("# Part 0\n\nThis was edited meanwhile.\n")
    olds.append(build(corpus, index_dir))
    (corpus / NAME).unlink()

    receipt = forget_document(NAME, corpus, index_dir, HashingEmbedder)

    assert list(traces_in(index_dir)) == []
    assert lexical_leaks(index_dir / "snapshots" / receipt.live_snapshot) == []
    assert free_pages(index_dir / "vectors.sqlite") == 0
    assert sorted(s.id for s in receipt.removed_snapshots) == sorted(olds)
    assert [info.id for info in IndexDir(index_dir).list_snapshots()] == [receipt.live_snapshot]
    assert receipt.is_complete


def test_receipt_counts_what_went(corpus: Path, tmp_path: Path) -> None:
    """This ensures that the receipt is true: passages, vectors, ids, and which snapshots."""
    index_dir = tmp_path / "index"
    old = build(corpus, index_dir)
    with sqlite3.connect(index_dir / "vectors.sqlite") as connection:
        before = int(connection.execute("SELECT sum(n_rows) FROM vectors").fetchone()[0])

    receipt: ForgetReceipt = forget_document(NAME, corpus, index_dir, HashingEmbedder, with_file=True)

    with sqlite3.connect(index_dir / "vectors.sqlite") as connection:
        after = int(connection.execute("SELECT sum(n_rows) FROM vectors").fetchone()[0])
    assert (receipt.n_passages, receipt.n_links, receipt.n_vectors) == (1, 1, before - after)
    assert [(s.id, s.n_passages) for s in receipt.removed_snapshots] == [(old, 1)]
    assert receipt.deleted_file
    assert not (corpus / NAME).exists()
    assert all((*receipt.checked, *receipt.beyond_reach))

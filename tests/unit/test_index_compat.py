"""Committed snapshots of every format."""

import shutil
from pathlib import Path

import pytest

from index.errors import SnapshotUnsupported
from index.manifest import FORMAT_VERSION, OLDEST_SUPPORTED, read_manifest
from index.snapshot import open_snapshot_folder
from index.testing import HashingEmbedder, tiny_documents
from index.verify import verify_snapshot

FIXTURES = Path(__file__).parent.parent / "data" / "snapshots"
VERSIONS = [int(path.name.removeprefix("v")) for path in sorted(FIXTURES.iterdir())]


def test_the_present_format_has_a_fixture() -> None:
    """This ensures that nobody changes the format without leaving a snapshot for later versions to open."""
    assert FORMAT_VERSION in VERSIONS, "run python tests/data/make_snapshot_fixture.py and commit what it writes"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_fixture_opens_or_is_refused(version: int, tmp_path: Path) -> None:
    """This ensures that a snapshot of a supported format opens and proves sound, and an older one names both."""
    # A copy, as tantivy makes lock files even for reading.
    path = tmp_path / "snapshot"
    shutil.copytree(FIXTURES / f"v{version}", path)

    if version < OLDEST_SUPPORTED:
        with pytest.raises(SnapshotUnsupported, match=f"format {version}"):
            open_snapshot_folder(path)
        return
    with open_snapshot_folder(path) as snapshot:
        assert read_manifest(path).format_version == version
        assert verify_snapshot(snapshot).is_sound


def test_the_present_fixture_answers_as_it_was_written() -> None:
    """This ensures that stored values keep their meaning: texts, spans, terms, vectors."""
    library = tiny_documents()
    embedder = HashingEmbedder()

    with open_snapshot_folder(FIXTURES / f"v{FORMAT_VERSION}") as snapshot:
        assert [snapshot.catalogue.full_document(d.id) for d, _ in library] == [d for d, _ in library]
        assert [p.passage for p in snapshot.catalogue.passages(range(7))] == [p for _, ps in library for p in ps]
        assert snapshot.lexical.search("overdoses reversed", 5)[0].tolist() == [3]
        query = embedder.encode_queries(["Withdrawal > Withdrawal starts six to twelve hours after the last dose"])[0]
        assert snapshot.dense.search(query, 1)[0].tolist() == [6]
        assert sorted((link.state, link.document) for link in snapshot.permalinks) == [
            ("changed", 1),
            ("moved", 2),
            ("withdrawn", None),
        ]
        assert [len(rows) for rows in snapshot.evidence.similarities(query, snapshot.dense.search(query, 7)[0])]


def test_fixtures_are_small() -> None:
    """This ensures that the repository does not grow with every format."""
    for version in VERSIONS:
        size = sum(path.stat().st_size for path in (FIXTURES / f"v{version}").rglob("*") if path.is_file())
        assert size < 200_000

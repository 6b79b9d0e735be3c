"""Opening a snapshot with everything checked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from index.errors import NoSnapshot, SnapshotCorrupt, SnapshotUnsupported
from index.manifest import FORMAT_VERSION
from index.snapshot import open_snapshot, open_snapshot_folder
from index.store import IndexDir
from index.testing import HashingEmbedder, tiny_documents, write_tiny_snapshot

FILES = [
    "catalogue.sqlite",
    "dense.faiss",
    "evidence.npy",
    "evidence_starts.npy",
    "lexical/meta.json",
    "lexical/*.term",
]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("sealed")
    write_tiny_snapshot(IndexDir(path))
    return path


@pytest.fixture
def index_dir(sealed: Path, tmp_path: Path) -> IndexDir:
    shutil.copytree(sealed, tmp_path / "index")
    return IndexDir(tmp_path / "index")


def current(index_dir: IndexDir) -> Path:
    return index_dir.snapshot_path(index_dir.current_id() or "")


def edit_manifest(index_dir: IndexDir, change: Callable[[dict[str, Any]], object]) -> None:
    path = current(index_dir) / "manifest.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def open_files(index_dir: IndexDir) -> list[str]:
    """Return the files of an index that this process holds open or mapped."""
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    mapped = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()]
    return [name for name in links + mapped if str(index_dir.path) in name]


def test_a_sound_snapshot_opens_with_all_its_parts(index_dir: IndexDir) -> None:
    """This ensures that catalogue, dense, evidence and lexical parts number passages alike."""
    with open_snapshot(index_dir) as snapshot:
        embedder = HashingEmbedder()
        for ordinal, passage in enumerate(p for _, passages in tiny_documents() for p in passages):
            vector = embedder.encode_queries([f"{passage.embedding_prefix} {passage.text}"])[0]
            assert snapshot.dense.search(vector, 1)[0].tolist() == [ordinal]
            assert snapshot.lexical.search(f"{passage.embedding_prefix} {passage.text}", 1)[0].tolist() == [ordinal]
            assert snapshot.catalogue.passages([ordinal])[0].passage == passage
        assert snapshot.id == index_dir.current_id() == snapshot.manifest.snapshot_id


def test_without_a_build_the_error_says_how_to_build(tmp_path: Path) -> None:
    """This ensures that the first user is told the next command."""
    with pytest.raises(NoSnapshot, match="citewell build"):
        open_snapshot(IndexDir(tmp_path / "nothing"))


@pytest.mark.parametrize("name", ["20200101T000000Z-00000000", "../../etc", ""])
def test_unknown_snapshots_are_absent(index_dir: IndexDir, name: str) -> None:
    """This ensures that a name which is none, or leads elsewhere, is just not there."""
    with pytest.raises(NoSnapshot):
        open_snapshot(index_dir, name)


@pytest.mark.parametrize("pattern", FILES)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_flipped_bit_in_any_file_is_noticed(index_dir: IndexDir, pattern: str, place: str) -> None:
    """This ensures that the error names the file and both checksums."""
    path = next(current(index_dir).glob(pattern))
    data = bytearray(path.read_bytes())
    data[{"first": 0, "middle": len(data) // 2, "last": -1}[place]] ^= 1
    path.write_bytes(data)

    with pytest.raises(SnapshotCorrupt, match=r"SHA-256 is [0-9a-f]{64}, sealed was [0-9a-f]{64}") as caught:
        open_snapshot(index_dir)

    assert caught.value.where == str(path)


@pytest.mark.parametrize("pattern", FILES)
@pytest.mark.parametrize("check_sha256", [True, False])
def test_a_missing_or_shortened_file_is_noticed_always(index_dir: IndexDir, pattern: str, check_sha256: bool) -> None:
    """This ensures that presence and sizes are checked even when checksums are not."""
    path = next(current(index_dir).glob(pattern))
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(SnapshotCorrupt, match=f"has {size - 1} bytes, sealed were {size}"):
        open_snapshot(index_dir, check_sha256=check_sha256)
    path.unlink()
    with pytest.raises(SnapshotCorrupt, match="missing") as caught:
        open_snapshot(index_dir, check_sha256=check_sha256)

    assert caught.value.where == str(path)


@pytest.mark.parametrize("name", ["notes.txt", "lexical/old.term"])
def test_a_file_that_was_not_sealed_is_noticed(index_dir: IndexDir, name: str) -> None:
    """This ensures that a snapshot holds what was sealed and nothing else."""
    (current(index_dir) / name).write_text("withdrawn text")

    with pytest.raises(SnapshotCorrupt, match="does not belong") as caught:
        open_snapshot(index_dir)

    assert caught.value.where.endswith(name)


@pytest.mark.parametrize("part", ["documents", "passages", "sentences"])
def test_a_manifest_that_lies_about_counts_is_noticed(index_dir: IndexDir, part: str) -> None:
    """This ensures that counts are compared with every part, and both values are named."""
    edit_manifest(index_dir, lambda data: data["counts"].update({part: 999}))

    with pytest.raises(SnapshotCorrupt, match=r"manifest says (999|1006) .*there are \d+"):
        open_snapshot(index_dir)


def test_a_manifest_that_lies_about_the_model_is_noticed(index_dir: IndexDir) -> None:
    """This ensures that the vectors have the width that the manifest promises."""
    edit_manifest(index_dir, lambda data: data["model"].update(dimension=384))

    with pytest.raises(SnapshotCorrupt, match="says 384 dimensions of the dense index, there are 64"):
        open_snapshot(index_dir)


def test_a_renamed_snapshot_is_noticed(index_dir: IndexDir) -> None:
    """This ensures that an answer's snapshot id leads to the folder that it came from."""
    other = "20200101T000000Z-00000000"
    current(index_dir).rename(index_dir.snapshot_path(other))

    with pytest.raises(SnapshotCorrupt, match=other):
        open_snapshot(index_dir, other)


def test_a_newer_format_is_refused_as_such(index_dir: IndexDir) -> None:
    """This ensures that a snapshot of a newer version is not called damaged."""
    edit_manifest(index_dir, lambda data: data.update(format_version=FORMAT_VERSION + 1))

    with pytest.raises(SnapshotUnsupported, match=f"format {FORMAT_VERSION + 1}"):
        open_snapshot(index_dir)


def test_vectors_held_otherwise_than_the_manifest_says_are_refused(index_dir: IndexDir) -> None:
    """This ensures that no snapshot is served whose manifest tells of other files."""
    edit_manifest(index_dir, lambda data: data["dense"].update(vectors="float32"))

    with pytest.raises(SnapshotCorrupt, match="held as float32, they are float16"):
        open_snapshot(index_dir)


def test_a_pointer_to_nothing_is_an_error(index_dir: IndexDir) -> None:
    """This ensures that a deleted snapshot folder is reported, not retried for ever."""
    shutil.rmtree(current(index_dir))

    with pytest.raises(NoSnapshot):
        open_snapshot(index_dir)


def test_a_snapshot_replaced_while_opening_is_no_error(index_dir: IndexDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a reader overtaken by builds opens the newest instead of failing."""
    old = current(index_dir)
    new = write_tiny_snapshot(index_dir, tiny_documents()[:2])
    asked = []

    def current_id() -> str:
        asked.append(new)
        # At the first look CURRENT still named the old one, which is gone when its folder is looked for.
        return old.name if len(asked) == 1 else new

    shutil.rmtree(old)
    monkeypatch.setattr(index_dir, "current_id", current_id)

    with open_snapshot(index_dir) as snapshot:
        assert snapshot.id == new


def test_a_snapshot_always_replaced_ends_in_an_error(index_dir: IndexDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that opening ends, whatever writers do."""
    ids = (f"20200101T000000Z-{i:08x}" for i in range(10_000))
    monkeypatch.setattr(index_dir, "current_id", lambda: next(ids))

    with pytest.raises(SnapshotCorrupt, match="again and again"):
        open_snapshot(index_dir)


def test_a_closed_snapshot_is_closed_in_all_parts(index_dir: IndexDir) -> None:
    """This ensures that no file stays open."""
    snapshot = open_snapshot(index_dir)

    snapshot.close()

    assert open_files(index_dir) == []


def test_a_failed_opening_leaves_nothing_open(index_dir: IndexDir) -> None:
    """This ensures that a service which retries does not run out of files."""
    edit_manifest(index_dir, lambda data: data["counts"].update(sentences=999))

    for _ in range(3):
        with pytest.raises(SnapshotCorrupt):
            open_snapshot(index_dir)

    assert open_files(index_dir) == []


def test_a_staged_snapshot_can_be_opened_where_it_lies(index_dir: IndexDir, tmp_path: Path) -> None:
    """This ensures that a build can be verified before it is published."""
    shutil.copytree(current(index_dir), tmp_path / ".staging-1")

    with open_snapshot_folder(tmp_path / ".staging-1") as snapshot:
        assert snapshot.id == index_dir.current_id()


def test_a_snapshot_of_nothing_opens(tmp_path: Path) -> None:
    """This ensures that a library whose last document was withdrawn has a snapshot, too."""
    write_tiny_snapshot(IndexDir(tmp_path), ())

    with open_snapshot(IndexDir(tmp_path)) as snapshot:
        assert snapshot.manifest.counts.passages == snapshot.lexical.n == snapshot.dense.n == 0

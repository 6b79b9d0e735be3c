"""
Opening one snapshot, with everything checked that its manifest claims. Reads; never writes.

What is checked: format, the presence, size and SHA-256 of every file, nothing besides, and that all parts agree on
the counts. `verify.py` re-proves the contents.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from index.catalogue import Catalogue
from index.dense import DenseIndex
from index.engine import DenseRows, Engine, EvidenceRows, Finder, Words
from index.engine_local import LEXICAL_FOLDER, LocalEngine, LocalFinder
from index.errors import NoSnapshot, SnapshotCorrupt
from index.evidence_vectors import EvidenceVectors
from index.files import list_files, sha256_files
from index.lexical import LexicalIndex
from index.manifest import MANIFEST_FILE, Manifest, read_manifest
from index.permalinks import PERMALINKS_FILE, Permalinks
from index.store import IndexDir

__all__ = ["CATALOGUE_FILE", "LEXICAL_FOLDER", "Snapshot", "open_snapshot", "open_snapshot_folder"]

CATALOGUE_FILE = "catalogue.sqlite"

_FIX = "roll back to an older snapshot (citewell rollback) or build again (citewell build)"
# How often the newest snapshot may be replaced and collected while it is being opened, before that is an error.
_MOST_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An open snapshot; all parts number passages alike, from 0 to `manifest.counts.passages - 1`."""

    path: Path
    manifest: Manifest
    catalogue: Catalogue
    dense: DenseRows
    evidence: EvidenceRows
    lexical: Words
    permalinks: Permalinks
    engine: Engine
    remote: Finder | None = None  # what finds passages where they are not in the folder

    @property
    def finder(self) -> Finder:
        """Return what finds and scores the passages."""
        if isinstance(self.dense, DenseIndex) and isinstance(self.evidence, EvidenceVectors):
            return LocalFinder(self.catalogue, self.dense, self.evidence, cast(LexicalIndex, self.lexical))
        return cast(Finder, self.remote)

    @property
    def id(self) -> str:
        """Return the snapshot's id."""
        return self.manifest.snapshot_id

    def close(self) -> None:
        """Let go of all files."""
        for part in (self.catalogue, self.dense, self.evidence, self.lexical, self.permalinks):
            part.close()

    def __enter__(self) -> Snapshot:
        """Return the snapshot itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of all files."""
        self.close()


def open_snapshot(index_dir: IndexDir, snapshot_id: str | None = None, check_sha256: bool = True) -> Snapshot:
    """
    Open the current snapshot, or the named one.

    Args:
        check_sha256: read and hash every file; sizes and counts are checked always.

    Raises:
        NoSnapshot: nothing was built yet, or there is no snapshot of that id.
        SnapshotCorrupt: a file is missing, changed, or contradicts the manifest.
        SnapshotUnsupported: of a format that this version can't read, or in an engine that the settings don't name.
        EngineUnreachable, EngineRefused, EngineMissing: what is not in its folder can't be asked for.
        ModelMismatch: what the engine has of it is another model's.
    """
    if snapshot_id is not None:
        return _open_named(index_dir, snapshot_id, check_sha256)
    for _ in range(_MOST_ATTEMPTS):
        current = index_dir.current_id()
        if current is None:
            raise NoSnapshot("nothing was built yet", where=str(index_dir.path), fix="build one: citewell build")
        try:
            index_dir.check_current(current)
            return _open_named(index_dir, current, check_sha256)
        except (NoSnapshot, SnapshotCorrupt):
            # Between reading CURRENT and opening, writers may have published others and collected this one. Then
            # CURRENT has moved on, and the fault is not the snapshot's.
            if index_dir.current_id() == current:
                raise
    raise SnapshotCorrupt(
        "the snapshot was replaced again and again while it was opened",
        where=str(index_dir.path),
        fix="build less often, or keep more snapshots",
    )


def open_snapshot_folder(path: Path, check_sha256: bool = True, engine: Engine | None = None) -> Snapshot:
    """
    Open a sealed snapshot wherever it lies, published or still staged. Raises as `open_snapshot`.

    Args:
        engine: keeps vectors and words; None: the folder does.
    """
    manifest, engine = read_manifest(path), engine or LocalEngine()
    # Before minutes of hashing.
    engine.check(manifest)
    _check_files(path, manifest, check_sha256)
    with ExitStack() as opened:
        catalogue = Catalogue.open(path / CATALOGUE_FILE)
        opened.callback(catalogue.close)
        parts = engine.open_parts(path, manifest, catalogue)
        for part in (parts.dense, parts.evidence, parts.lexical):
            opened.callback(part.close)
        permalinks = _open_permalinks(path, manifest)
        opened.callback(permalinks.close)
        remote = None if manifest.milvus is None else parts.finder
        snapshot = Snapshot(
            path, manifest, catalogue, parts.dense, parts.evidence, parts.lexical, permalinks, engine, remote
        )
        _check_counts(snapshot)
        opened.pop_all()
    return snapshot


def check_sha256_sums(path: Path, manifest: Manifest) -> Iterator[SnapshotCorrupt]:
    """Yield an error for every file whose bytes are not those that were sealed. Raises OSError."""
    for name, (_, actual) in sorted(sha256_files(path, list(manifest.files)).items()):
        if actual != manifest.files[name].sha256:
            expected = manifest.files[name].sha256
            what = f"{name} changed: its SHA-256 is {actual}, sealed was {expected}"
            yield SnapshotCorrupt(what, where=str(path / name), fix=_FIX)


def _open_named(index_dir: IndexDir, snapshot_id: str, check_sha256: bool) -> Snapshot:
    path = index_dir.snapshot_path(snapshot_id)
    if not path.is_dir():
        what = f"there is no snapshot {snapshot_id}"
        raise NoSnapshot(what, where=str(path), fix="see `citewell snapshots`, or build one: citewell build")
    snapshot = open_snapshot_folder(path, check_sha256, index_dir.engine)
    if snapshot.id != snapshot_id:
        snapshot.close()
        what = f"the folder is named {snapshot_id}, its manifest says {snapshot.id}"
        raise SnapshotCorrupt(what, where=str(path / MANIFEST_FILE), fix=_FIX)
    return snapshot


def _open_permalinks(path: Path, manifest: Manifest) -> Permalinks:
    # Format 1 had none.
    return Permalinks.none() if manifest.format_version < 2 else Permalinks.open(path / PERMALINKS_FILE)


def _check_files(path: Path, manifest: Manifest, check_sha256: bool) -> None:
    with _reading(path):
        present = set(list_files(path)) - {MANIFEST_FILE}
        for name in sorted(manifest.files.keys() - present):
            raise SnapshotCorrupt(f"{name} is missing", where=str(path / name), fix=_FIX)
        for name in sorted(present - manifest.files.keys()):
            # It may be harmless, or the text of a withdrawn document: a snapshot holds what was sealed, nothing else.
            what = f"{name} does not belong to the snapshot"
            raise SnapshotCorrupt(what, where=str(path / name), fix="move it elsewhere or delete it")
        for name, identity in manifest.files.items():
            if (size := (path / name).stat().st_size) != identity.bytes:
                what = f"{name} has {size} bytes, sealed were {identity.bytes}"
                raise SnapshotCorrupt(what, where=str(path / name), fix=_FIX)
        if check_sha256:
            for error in check_sha256_sums(path, manifest):
                raise error


def _check_counts(snapshot: Snapshot) -> None:
    counts, catalogue = snapshot.manifest.counts, snapshot.catalogue
    dimension = snapshot.manifest.model.dimension
    for what, claimed, found in (
        ("documents in the catalogue", counts.documents, catalogue.n_documents),
        ("passages in the catalogue", counts.passages, catalogue.n_passages),
        ("sentences in the catalogue", counts.sentences, catalogue.n_sentences),
        ("vectors in the dense index", counts.passages, snapshot.dense.n),
        ("passages with evidence vectors", counts.passages, snapshot.evidence.n),
        ("evidence vectors", counts.passages + counts.sentences, snapshot.evidence.n_rows),
        ("passages in the lexical index", counts.passages, snapshot.lexical.n),
        ("dimensions of the dense index", dimension, snapshot.dense.dimension),
        ("dimensions of the evidence vectors", dimension, snapshot.evidence.dimension),
    ):
        if claimed != found:
            text = f"the manifest says {claimed} {what}, there are {found}"
            raise SnapshotCorrupt(text, where=str(snapshot.path / MANIFEST_FILE), fix=_FIX)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = str(error.filename or path)
        raise SnapshotCorrupt(f"can't be read: {error.strerror}", where=where, fix=_FIX) from error

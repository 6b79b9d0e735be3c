"""
The live snapshot as what a build may take over instead of reading and splitting again. Reads; never writes.

There is no other store of what was read: a withdrawn document's text is gone with the last snapshot that holds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from index.catalogue import Catalogue
from index.catalogue_rows import DocumentRows, Reading, StoredDocument
from index.errors import SnapshotCorrupt, SnapshotUnsupported
from index.files import sha256_file
from index.manifest import Manifest, read_manifest
from index.rules import rules_fingerprint
from index.snapshot import CATALOGUE_FILE
from index.store import IndexDir
from ingest.library import Library, SourceFile
from ingest.read import reading_inputs
from ingest.split import SplitConfig


@dataclass(frozen=True, slots=True)
class Previous:
    """
    What the live snapshot holds; without documents when there is none that can be trusted, and why in `problem`.

    `readings` tells of each document what it was made from.
    """

    snapshot_id: str = ""
    problem: str = ""
    manifest: Manifest | None = None
    catalogue: Catalogue | None = None
    documents: Mapping[str, StoredDocument] = field(default_factory=dict)
    readings: Mapping[str, Reading] = field(default_factory=dict)

    def reusable(self, document_id: str, key: str) -> tuple[StoredDocument, Reading] | None:
        """Return a document as it was made before from exactly this, None when it must be read."""
        reading = self.readings.get(document_id)
        return None if reading is None or reading.key != key else (self.documents[document_id], reading)

    def splits_alike(self, split: SplitConfig, fingerprint: str) -> bool:
        """Tell whether passages were cut by these sizes, counted by this model's tokenizer."""
        manifest = self.manifest
        return manifest is not None and manifest.split == asdict(split) and manifest.model.fingerprint == fingerprint

    def rows_of(self, stored: StoredDocument) -> DocumentRows:
        """Return all rows of a document. Raises SnapshotCorrupt: they can't be read any more."""
        if self.catalogue is None:
            raise ValueError("there is no previous snapshot")
        return self.catalogue.rows_of(stored)


def reading_key(library: Library, file: SourceFile, source_sha256: str) -> str:
    """
    Return the SHA-256, hex, of everything that a document depends on: bytes, path, reader, limits, metadata, code.

    Raises:
        UnsupportedSource: no reader knows the file's ending.
    """
    parts = (rules_fingerprint(), source_sha256, reading_inputs(library, file))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@contextmanager
def open_previous(store: IndexDir) -> Iterator[Previous]:
    """Open the live snapshot for the block; whatever is wrong with it is in `problem` and no error."""
    with ExitStack() as opened:
        yield _open(store, opened)


def _open(store: IndexDir, opened: ExitStack) -> Previous:
    snapshot_id = ""
    try:
        snapshot_id = store.current_id() or ""
        if not snapshot_id:
            return Previous()
        folder = store.snapshot_path(snapshot_id)
        manifest = read_manifest(folder)
        _check_catalogue(folder / CATALOGUE_FILE, manifest)
        catalogue = Catalogue.open(folder / CATALOGUE_FILE)
        opened.callback(catalogue.close)
        documents = {stored.id: stored for stored in catalogue.iter_documents()}
        return Previous(snapshot_id, "", manifest, catalogue, documents, catalogue.readings())
    except (SnapshotCorrupt, SnapshotUnsupported) as error:
        return Previous(snapshot_id, error.what)


def _check_catalogue(path: Path, manifest: Manifest) -> None:
    """Make sure that the rows are those that were proven and sealed."""
    sealed = manifest.files.get(CATALOGUE_FILE)
    fix = "build again"
    try:
        _, actual = sha256_file(path)
    except OSError as error:
        raise SnapshotCorrupt(f"its catalogue can't be read: {error.strerror}", where=str(path), fix=fix) from error
    if sealed is None or sealed.sha256 != actual:
        raise SnapshotCorrupt("its catalogue changed since it was sealed", where=str(path), fix=fix)

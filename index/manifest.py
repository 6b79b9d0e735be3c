"""
The manifest of a snapshot: what is in it and how it was made. Reads and writes manifest.json and nothing else.

A folder without a valid manifest is no snapshot; it is written last.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.errors import SnapshotCorrupt, SnapshotUnsupported
from index.files import storage_errors, write_atomically

MANIFEST_FILE = "manifest.json"
# Raise FORMAT_VERSION whenever any file of a snapshot changes its meaning, and commit a fixture of the new format
# (tests/data/make_snapshot_fixture.py).
FORMAT_VERSION = 3
OLDEST_SUPPORTED = 1

_FIX = "roll back to an older snapshot or build again"
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Counts(_Part):
    """How many there are of each."""

    documents: Count
    passages: Count
    sentences: Count


class ModelIdentity(_Part):
    """The embedding model; its fingerprint covers files and settings, the name is for people."""

    name: str
    fingerprint: str
    dimension: Annotated[int, Field(ge=1)]


class DenseSearch(_Part):
    """
    How the nearest passages are found, and the recall against exact search that was measured when they were written.

    `index` is "exact", or what FAISS calls the quantised index in candidates.faiss.
    """

    index: str = "exact"
    effort: Count = Field(
        default=0,
        description="Rows that a PQ index proposes, nprobe of an IVF one, efSearch of an HNSW one; 0: search is exact.",
    )
    recall_at_10: Share = 1.0
    recall_at_200: Share = 1.0
    n_measured: Count = Field(default=0, description="How many searches the recalls were measured with.")
    measured_on: Literal["", "questions", "passages"] = Field(
        default="", description="Labelled questions, or vectors of passages moved by noise."
    )
    vectors: Literal["float32", "float16"] = Field(
        default="float32", description="How dense.faiss holds the vectors, which have float16 precision either way."
    )

    @property
    def is_exact(self) -> bool:
        """Tell whether every passage is scored."""
        return self.index == "exact"


class MilvusCollections(_Part):
    """
    Where a snapshot's passages and vectors are when they are in Milvus, and what they must be.

    The collections are named `<base>_<snapshot id>_passages`, `..._evidence` and `..._seal`, until they are sealed
    `<base>_staging_<token>_...`. The SHA-256 are over vectors and words in the order of ordinals (`milvus_proof`).
    """

    base: Annotated[str, Field(pattern="^citewell_[0-9a-f]{12}$")]
    token: Annotated[str, Field(pattern="^[0-9a-f]{8}$")]
    index: str = Field(description="Kind of Milvus's index over the passages' vectors; FLAT finds all.")
    effort: Count = Field(default=0, description="ef of HNSW, nprobe of IVF; 0 for FLAT.")
    recall_at_10: Share = 1.0
    recall_at_200: Share = 1.0
    note: str = Field(default="", description="Why the index that was wished for was not taken.")
    rows: Count = Field(description="Vectors of passages, texts and sentences together.")
    passages_sha256: Sha256
    evidence_sha256: Sha256


class FileIdentity(_Part):
    """One file of the snapshot."""

    bytes: Count
    sha256: Sha256


class Manifest(_Part):
    """
    What manifest.json holds.

    A build gives counts, settings, model, corpus and report; `snapshot_id`, `sequence`, `created_at` and `files` are
    filled in by `IndexDir.seal`. `sequence` orders snapshots whatever the clock does.
    """

    format_version: int = FORMAT_VERSION
    snapshot_id: str = ""
    sequence: Count = 0
    created_at: str = ""  # UTC, ISO 8601
    title: str = ""  # of the library
    counts: Counts
    split: dict[str, Any]
    fusion: dict[str, Any]
    model: ModelIdentity
    dense: DenseSearch = DenseSearch()  # exact in snapshots from before there was a choice
    # Left out where it is None, so that a local snapshot's manifest is what it was before there was a choice.
    milvus: MilvusCollections | None = Field(default=None, exclude_if=lambda value: value is None)
    corpus_sha256: str
    files: dict[str, FileIdentity] = {}  # by name relative to the snapshot, "/" between parts
    versions: dict[str, str] = {}  # of the libraries that wrote the files
    report: dict[str, Any] = {}  # what the build did, for people

    @property
    def content_sha256(self) -> str:
        """
        Return the SHA-256 of all that two builds from equal input have in common.

        The lexical files are left out, because tantivy names and stamps them anew each time; the catalogue holds all
        the text that they were made from. The permalinks are left out, because they tell of builds before.
        """
        common = self.model_dump(
            exclude={"snapshot_id": True, "sequence": True, "created_at": True, "report": True, "files": True}
            | {"milvus": {"base", "token"}}
        )
        files = {n: f.sha256 for n, f in sorted(self.files.items()) if not n.startswith(("lexical/", "permalinks."))}
        text = json.dumps([common, files], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """
    Read and check a snapshot's manifest.

    Raises:
        SnapshotCorrupt: missing, not JSON, or a field is wrong.
        SnapshotUnsupported: of a format that this version can't read.
    """
    path = folder / MANIFEST_FILE
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise _corrupt(path, f"can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError, and a thousand brackets
        raise _corrupt(path, f"is not JSON: {error}") from error
    version = data.get("format_version") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise _corrupt(path, "names no format version")
    if not OLDEST_SUPPORTED <= version <= FORMAT_VERSION:
        newer = version > FORMAT_VERSION
        raise SnapshotUnsupported(
            f"the snapshot has format {version}, this version reads {OLDEST_SUPPORTED} to {FORMAT_VERSION}",
            where=str(path),
            fix="upgrade Citewell, or build again with this version" if newer else "build again: citewell build",
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise _corrupt(path, f"field {field}: {first['msg']}, it is {first['input']!r:.80}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """
    Write the manifest, whole or not at all, and force it to the disk.

    Raises:
        StorageFailed: the disk is full or failing.
    """
    path = folder / MANIFEST_FILE
    with storage_errors(path):
        write_atomically(path, f"{manifest.model_dump_json(indent=2)}\n".encode())


def _corrupt(path: Path, what: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(f"the manifest {what}", where=str(path), fix=_FIX)

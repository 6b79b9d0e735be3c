"""
Errors of building, storing and opening an index.

    AppError (ingest.errors)
    └── IndexFault
        ├── NoSnapshot             nothing built yet, or the named snapshot does not exist
        ├── SnapshotCorrupt        a file is missing, changed or contradicts the manifest
        ├── SnapshotUnsupported    written by a newer or too old format
        ├── ModelUnusable          the embedding model is missing, incomplete or fails its checksum
        ├── ModelMismatch          index and service were made with different models
        ├── WriterBusy             another build holds the lock
        ├── StorageFailed          the disk is full, read-only or failing
        ├── BuildRefused           nothing publishable came out of the corpus
        ├── WorkersFailed          a process that worked for a build was lost, can't be reached or runs other code
        ├── ExtraMissing           an optional part of Citewell is asked for and not installed
        ├── DocumentStillThere     a document to be forgotten is still in the corpus
        ├── DocumentUnknown        nothing holds the document that is to be forgotten
        ├── FilterUnknown          a search names a filter that does not exist
        └── EngineFault            the engine that keeps the passages failed
            ├── EngineUnreachable  it does not answer
            ├── EngineRefused      it answers and refuses, be it the credentials
            │   └── CollectionMissing  what was to be read or changed there is gone
            └── EngineMissing      its library is not installed
"""

from __future__ import annotations

from ingest.errors import AppError


class IndexFault(AppError):
    """Base of everything that goes wrong around an index."""

    code = "index_fault"


class NoSnapshot(IndexFault):
    """There is no snapshot to open."""

    code = "no_snapshot"


class SnapshotCorrupt(IndexFault):
    """A snapshot's file is missing, changed, or contradicts its manifest."""

    code = "snapshot_corrupt"


class SnapshotUnsupported(IndexFault):
    """The snapshot has a format this version can't read."""

    code = "snapshot_unsupported"


class ModelUnusable(IndexFault):
    """The embedding model is missing, incomplete or fails its checksum."""

    code = "model_unusable"


class JudgeUnusable(IndexFault):
    """The judge's file is missing, changed, or no judge of this version."""

    code = "judge_unusable"


class ModelMismatch(IndexFault):
    """The index was built with another model than the service has."""

    code = "model_mismatch"


class WriterBusy(IndexFault):
    """Another process is building this index."""

    code = "writer_busy"


class StorageFailed(IndexFault):
    """The disk is full, read-only or failing; the live snapshot is untouched."""

    code = "storage_failed"


class BuildRefused(IndexFault):
    """A build came out with nothing that may be published; the live snapshot is untouched."""

    code = "build_refused"


class WorkersFailed(IndexFault):
    """A process that worked for a build was lost, can't be reached, or runs other code; nothing was published."""

    code = "workers_failed"


class ExtraMissing(IndexFault):
    """An optional part of Citewell is asked for that is not installed."""

    code = "extra_missing"


class DocumentStillThere(IndexFault):
    """A document that is to be forgotten is still in the corpus folder; nothing was removed."""

    code = "document_still_there"


class DocumentUnknown(IndexFault):
    """Neither the corpus nor any snapshot has the document that is to be forgotten."""

    code = "document_unknown"


class FilterUnknown(IndexFault):
    """A search names a filter or a filter value that does not exist."""

    code = "filter_unknown"


class EngineFault(IndexFault):
    """Base of what goes wrong with the engine that keeps the passages; the live snapshot is untouched."""

    code = "engine_fault"


class EngineUnreachable(EngineFault):
    """The engine that keeps the passages can't be reached, or does not answer in time."""

    code = "engine_unreachable"


class EngineRefused(EngineFault):
    """The engine that keeps the passages answered that it does not do what it was asked for."""

    code = "engine_refused"


class CollectionMissing(EngineRefused):
    """The engine has no collection of that name."""

    code = "collection_missing"


class EngineMissing(EngineFault):
    """The engine that was chosen needs a library that is not installed."""

    code = "engine_missing"

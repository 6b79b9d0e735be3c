"""
The JSON of the admin routes: what comes in, what goes out, with an example of each. Conversion only; decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from index.jobs import JobRecord, JobState
from index.store import SnapshotInfo
from ingest.errors import AppError
from ingest.model import SourceType
from service.admin_examples import BUILD, BUILD_LIST, DOCUMENT_LIST, ROLLBACK, SNAPSHOT_LIST, STORED
from service.survey import Listed, State, modified_at


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class FindingOut(_Model):
    """One thing to mend in a document."""

    field: str = Field(description='Which metadata; "" for the file as a whole.')
    problem: str
    fix: str
    is_error: bool = Field(description="False: advice.")


class FaultOut(_Model):
    """Why a file can't become a document, or why a build came to nothing."""

    code: str
    what: str
    where: str
    fix: str

    @classmethod
    def from_error(cls, error: AppError) -> FaultOut:
        """Return an error as sent."""
        return cls(code=error.code, what=error.what, where=error.where, fix=error.fix)


class MetadataOut(BaseModel):
    """What is known about a document, from the file and from library.toml."""

    model_config = ConfigDict(frozen=True)

    title: str
    publisher: str
    authors: tuple[str, ...]
    published: date | None
    reviewed: date | None
    review_due: date | None
    url: str
    license: str
    language: str
    tags: tuple[str, ...]
    audience: tuple[str, ...]
    source_type: SourceType
    funding: str
    disclosure: str
    content_note: str


class ReadOut(_Model):
    """What the reader makes of a file by itself; the next build may find furniture that several files share."""

    readable: bool
    reader: str
    n_chars: int
    n_pages: int = Field(description="0 for a source without pages.")
    n_passages: int
    metadata: MetadataOut | None
    findings: tuple[FindingOut, ...]
    error: FaultOut | None = Field(description="Why it can't be read, null when it can.")

    @classmethod
    def from_child(cls, values: Mapping[str, Any]) -> ReadOut:
        """Return what `service.examine_child` said of a file."""
        return cls(
            readable=values["readable"],
            reader=values.get("reader", ""),
            n_chars=values.get("n_chars", 0),
            n_pages=values.get("n_pages", 0),
            n_passages=values.get("n_passages", 0),
            metadata=MetadataOut.model_validate(values["metadata"]) if values["readable"] else None,
            findings=tuple(FindingOut(**finding) for finding in values["findings"]),
            error=None if values["error"] is None else FaultOut(**values["error"]),
        )

    @classmethod
    def from_error(cls, error: AppError) -> ReadOut:
        """Return a file that can't even be opened."""
        fault = FaultOut.from_error(error)
        return cls(
            readable=False, reader="", n_chars=0, n_pages=0, n_passages=0, metadata=None, findings=(), error=fault
        )


class AdminDocumentOut(_Model):
    """One document on disk, in the live index, or in both."""

    id: str
    state: State = Field(
        description="new: not in the index; indexed: as on disk; changed: the index has another version; "
        "removed: in the index alone, the next build withdraws it; failed: it can't be opened"
    )
    title: str
    size_bytes: int | None
    modified_at: str | None = Field(description="UTC, ISO 8601")
    sha256: str = Field(description='Of the file, for If-Match; "" where there is none.')
    read: ReadOut | None = Field(description="null for what is no longer on disk")

    @classmethod
    def from_listed(cls, listed: Listed, sha256: str, values: Mapping[str, Any] | None) -> AdminDocumentOut:
        """Return a document of the list as sent; `values` as for `ReadOut.from_child`."""
        read = None if values is None else ReadOut.from_child(values)
        if listed.error is not None:
            read = ReadOut.from_error(listed.error)
        return cls(
            id=listed.id,
            state=listed.state,
            title=read.metadata.title if read and read.metadata else listed.title,
            size_bytes=listed.file.size_bytes if listed.file else None,
            modified_at=modified_at(listed.file) if listed.file else None,
            sha256=sha256,
            read=read,
        )


class ChangesOut(_Model):
    """How many documents are in which state, over the whole library."""

    new: int
    indexed: int
    changed: int
    removed: int
    failed: int


class AdminDocumentPage(_Model):
    """A stretch of the list of documents, by id."""

    model_config = ConfigDict(json_schema_extra={"examples": [DOCUMENT_LIST]})

    documents: tuple[AdminDocumentOut, ...]
    total: int = Field(description="Documents that the search leaves.")
    limit: int
    offset: int
    changes: ChangesOut
    ignored: tuple[str, ...] = Field(description="Files that no reader takes, the first 200.")


class StoredOut(_Model):
    """A document that was uploaded. It is in the answers after the next build."""

    model_config = ConfigDict(json_schema_extra={"examples": [STORED]})

    id: str
    created: bool = Field(description="False: it replaced another version.")
    size_bytes: int
    sha256: str
    read: ReadOut


class BuildOptions(_Model):
    """How to build."""

    refuse_failures: bool = Field(
        default=False, description="Publish nothing if a file can't be read; otherwise the rest is published."
    )


class BuildOut(_Model):
    """One build: how far it is, or what came of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [BUILD]})

    id: str
    state: JobState
    revision: int = Field(description="Rises with every change; the id of its event.")
    phase: str
    done: int
    total: int = Field(description="0: not known")
    created_at: str
    updated_at: str
    finished_at: str | None
    options: BuildOptions
    report: dict[str, Any] | None = Field(
        description="What the build did; lists hold their first 200 entries, `left_out` counts the others."
    )
    error: FaultOut | None

    @classmethod
    def from_record(cls, record: JobRecord) -> BuildOut:
        """Return a job's record as sent."""
        values = record.model_dump(exclude={"number", "options", "error"})
        refuse = record.options.get("refuse_failures", False)
        fault = None if record.error is None else FaultOut(**record.error.model_dump())
        return cls(**values, options=BuildOptions(refuse_failures=refuse), error=fault)


class BuildList(_Model):
    """The last builds, newest first, without their reports."""

    model_config = ConfigDict(json_schema_extra={"examples": [BUILD_LIST]})

    builds: tuple[BuildOut, ...]


class AdminSnapshotOut(_Model):
    """One published state of the index."""

    id: str
    created_at: str | None
    is_current: bool
    is_served: bool = Field(description="This process answers from it; others follow within `refresh_s`.")
    documents: int | None
    passages: int | None
    model: str | None
    size_bytes: int
    problem: str = Field(description='Why it can\'t be used, "" when it can.')

    @classmethod
    def from_info(cls, info: SnapshotInfo, served: str | None) -> AdminSnapshotOut:
        """Return a snapshot as sent; `served` is the one that this process has open."""
        manifest = info.manifest
        return cls(
            id=info.id,
            created_at=manifest.created_at if manifest else None,
            is_current=info.is_current,
            is_served=info.id == served,
            documents=manifest.counts.documents if manifest else None,
            passages=manifest.counts.passages if manifest else None,
            model=manifest.model.name if manifest else None,
            size_bytes=info.size_bytes,
            problem=info.problem,
        )


class SnapshotList(_Model):
    """What is published, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [SNAPSHOT_LIST]})

    snapshots: tuple[AdminSnapshotOut, ...]


class RollbackRequest(_Model):
    """Which snapshot to serve again."""

    snapshot: Annotated[str, Field(min_length=1, max_length=100)]


class RollbackOut(_Model):
    """What is current now; every serving process follows within `refresh_s`."""

    model_config = ConfigDict(json_schema_extra={"examples": [ROLLBACK]})

    current: str
    previous: str | None

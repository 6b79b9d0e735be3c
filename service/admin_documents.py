"""
The admin routes for documents: list, upload, delete. Transport and order of checks; what is checked stands elsewhere.
"""

# No postponed annotations here: the framework reads them, and some name a function's own variables.
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import anyio.to_thread
from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from index.errors import IndexFault
from ingest.deposit import Upload, corpus_lock, delete_file, put_file, sha256_at
from ingest.errors import (
    MalformedSource,
    NoTextLayer,
    ProtectedSource,
    SourceError,
    SourceTooLarge,
    UnreadableSource,
)
from ingest.library import Library, open_library
from service.admin_answers import NO_STORE, admin_json, answers
from service.admin_schemas import AdminDocumentOut, AdminDocumentPage, ChangesOut, ReadOut, StoredOut
from service.errors import BodyTooLarge, MediaTypeUnsupported, NotFound, PreconditionFailed
from service.runtime import Service
from service.survey import Listing, State, Survey
from service.uploads import check_content, check_name, check_no_twin, check_place

# The disk is told of so much at a time; the framework gives pieces of 64 kB and less.
_PIECE_BYTES = 1_000_000
_SHOWN_IGNORED = 200
_IN_THREAD = anyio.to_thread.run_sync

DocumentId = Annotated[str, InPath(description="Path of the document in the corpus.", examples=["guides/naloxone.md"])]


class AdminDocumentsQuery(BaseModel):
    """Which documents, and which stretch of their list."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    offset: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    q: Annotated[str, Field(max_length=200, description="Part of the id or the title.")] = ""
    state: Annotated[list[State], Field(max_length=10)] = []


def add_admin_documents(app: FastAPI, service: Service, survey: Survey) -> None:
    """Add the routes under /v1/admin/documents."""
    _add_list(app, service, survey)
    _add_put(app, service, survey)
    _add_delete(app, service)


def _add_list(app: FastAPI, service: Service, survey: Survey) -> None:
    @app.get(
        "/v1/admin/documents",
        operation_id="admin_list_documents",
        summary="List the library folder as it is on disk",
        responses=answers(AdminDocumentPage, (404, 422)),
    )
    async def get_admin_documents(query: Annotated[AdminDocumentsQuery, Query()]) -> Response:
        """
        List what is in the library folder now, what the next build would change, and what is to be mended.

        Documents of the page are read for it, so the first look at a page takes a moment.
        """

        def list_documents() -> tuple[Listing, dict[str, str]]:
            with ExitStack() as stack:
                snapshot = None
                with suppress(IndexFault):  # nothing was built yet: everything is new
                    snapshot = stack.enter_context(service.snapshot())
                listing = survey.list_documents(snapshot)
            hashes = {d.id: survey.sha256(listing.library, d.file) for d in listing.documents if d.file}
            return listing, hashes

        listing, hashes = await _IN_THREAD(list_documents)
        wanted = query.q.casefold()
        found = [
            listed
            for listed in listing.documents
            if (not query.state or listed.state in query.state)
            and (wanted in listed.id.casefold() or wanted in listed.title.casefold())
        ]
        page = found[query.offset : query.offset + query.limit]
        read = await survey.describe([listed.file for listed in page if listed.file])
        counts: Counter[str] = Counter(listed.state for listed in listing.documents)
        return admin_json(
            AdminDocumentPage(
                documents=tuple(
                    AdminDocumentOut.from_listed(one, hashes.get(one.id, ""), read.get(one.id)) for one in page
                ),
                total=len(found),
                limit=query.limit,
                offset=query.offset,
                changes=ChangesOut(**{name: counts[name] for name in ChangesOut.model_fields}),
                ignored=listing.library.ignored[:_SHOWN_IGNORED],
            )
        )


def _add_put(app: FastAPI, service: Service, survey: Survey) -> None:
    root, max_bytes = service.settings.corpus, service.settings.max_upload_bytes

    @app.put(
        "/v1/admin/documents/{document_id:path}",
        operation_id="admin_put_document",
        summary="Upload a document",
        responses={
            **answers(StoredOut, (404, 409, 412, 413, 415, 422, 507), description="It replaced another version."),
            201: {**answers(StoredOut, ())[200], "description": "It is new."},
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "description": "The file itself, whatever its kind. At most `max_upload_bytes` bytes.",
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            },
            "parameters": _PRECONDITIONS,
        },
    )
    async def put_admin_document(request: Request, document_id: DocumentId) -> Response:
        """
        Store a document in the library folder, whole or not at all; the next build takes it into the index.

        What no reader can read is refused with the reason, so that it never takes the place of a readable version.
        `If-None-Match: *` stores only what is new; `If-Match` with the SHA-256 of the known version replaces no other.
        """
        check_name(document_id)
        _check_encoding(request)
        precondition = _precondition(request)
        await _IN_THREAD(_check_place_is_free, root, document_id, precondition)
        upload = await _IN_THREAD(Upload, root)
        try:
            await _receive(request, upload, max_bytes)
            check_content(document_id, upload.head)
            await _IN_THREAD(upload.sync)
            read = (await survey.examine({document_id: upload.path}))[document_id]
            if not read["readable"]:
                raise _unreadable(read["error"])
            is_new = await _IN_THREAD(_store, root, document_id, precondition, upload)
        finally:
            await _discard(upload)
        stored = StoredOut(
            id=document_id,
            created=is_new,
            size_bytes=upload.size_bytes,
            sha256=upload.sha256,
            read=ReadOut.from_child(read),
        )
        headers = {"etag": f'"{upload.sha256}"'}
        if is_new:
            headers["location"] = f"/v1/admin/documents/{quote(document_id)}"
        return admin_json(stored, 201 if is_new else 200, headers)


def _add_delete(app: FastAPI, service: Service) -> None:
    root = service.settings.corpus

    @app.delete(
        "/v1/admin/documents/{document_id:path}",
        operation_id="admin_delete_document",
        summary="Delete a document",
        status_code=204,
        responses=answers(None, (404, 412, 422, 507), success=204, description="It is gone from the folder."),
        openapi_extra={"parameters": _PRECONDITIONS[:1]},
    )
    def delete_admin_document(request: Request, document_id: DocumentId) -> Response:
        """
        Delete a document from the library folder; it is quoted until the next build is live.

        A link is deleted, not what it leads to. Folders that are empty without the document go with it.
        """
        check_place(document_id)
        precondition = _precondition(request)
        with corpus_lock(root) as folder:
            relative = _places(open_library(root, allow_empty=True)).get(document_id)
            if relative is None:
                raise _no_document()
            if precondition.is_given:
                precondition.check(sha256_at(folder, relative))
            try:
                delete_file(folder, relative)
            except FileNotFoundError as error:
                raise _no_document() from error
        return Response(status_code=204, headers=NO_STORE)


class Precondition(BaseModel):
    """What If-Match and If-None-Match ask of the version that is there: RFC 9110, 13.1."""

    model_config = ConfigDict(frozen=True)

    if_match: tuple[str, ...] | None
    if_none_match: tuple[str, ...] | None

    @property
    def is_given(self) -> bool:
        """Tell whether anything is asked."""
        return self.if_match is not None or self.if_none_match is not None

    def check(self, current: str | None) -> None:
        """
        Hold the SHA-256 of the version that is there, None for none, against what is asked.

        Raises:
            PreconditionFailed: another version is there, or none, or any at all.
        """
        tag = "" if current is None else f'"{current}"'
        if self.if_match is not None and (current is None or ("*" not in self.if_match and tag not in self.if_match)):
            there = "there is no such document" if current is None else "another version is there"
            raise PreconditionFailed(there, where="If-Match", fix="look at the list anew; somebody else was faster")
        refused = {one.removeprefix("W/") for one in self.if_none_match or ()}
        if current is not None and refused & {"*", tag}:
            raise PreconditionFailed(
                "there is a document of that name", where="If-None-Match", fix="replace it with If-Match, or rename"
            )


def _precondition(request: Request) -> Precondition:
    def tags(name: str) -> tuple[str, ...] | None:
        lines = request.headers.getlist(name)
        return tuple(tag.strip() for line in lines for tag in line.split(",")) if lines else None

    return Precondition(if_match=tags("if-match"), if_none_match=tags("if-none-match"))


def _check_encoding(request: Request) -> None:
    if request.headers.get("content-encoding", "identity") != "identity" or "content-range" in request.headers:
        raise MediaTypeUnsupported(
            "the body is compressed or a part", where="Content-Encoding", fix="send the whole file as it is"
        )


def _check_place_is_free(root: Path, document_id: str, precondition: Precondition) -> None:
    """Say before anything was received what would be said at its end."""
    with corpus_lock(root) as folder:
        precondition.check(_current(folder, root, document_id)[1])


def _store(root: Path, document_id: str, precondition: Precondition, upload: Upload) -> bool:
    """Put an upload into its place; returns whether nothing was there."""
    with corpus_lock(root) as folder:
        relative, current = _current(folder, root, document_id)
        precondition.check(current)
        put_file(folder, upload, relative)
    return current is None


def _current(folder: int, root: Path, document_id: str) -> tuple[str, str | None]:
    """Return where a document lies or would lie, and the SHA-256 of what is there."""
    library = open_library(root, allow_empty=True)
    places = _places(library)
    check_no_twin(document_id, [*places, *library.ignored])
    # On disk a name may be composed otherwise than the id, which is in normal form C.
    relative = places.get(document_id, document_id)
    return relative, sha256_at(folder, relative)


def _places(library: Library) -> dict[str, str]:
    """Return where each document lies in the corpus, by id; also those that can't be opened."""
    places = {error.where: error.where for error in library.failures}
    return places | {file.path: file.location.relative_to(library.root).as_posix() for file in library.files()}


async def _receive(request: Request, upload: Upload, max_bytes: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise _too_large(max_bytes)
    pending = bytearray()
    async for chunk in request.stream():
        if upload.size_bytes + len(pending) + len(chunk) > max_bytes:
            raise _too_large(max_bytes)
        pending += chunk
        if len(pending) >= _PIECE_BYTES:
            await _IN_THREAD(upload.write, bytes(pending))
            pending.clear()
    await _IN_THREAD(upload.write, bytes(pending))


async def _discard(upload: Upload) -> None:
    # Also when the client left, which cancels this request.
    with anyio.CancelScope(shield=True):
        await _IN_THREAD(upload.discard)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"the document has more than {max_bytes} bytes", where="body", fix="split it, or raise max_upload_bytes"
    )


def _unreadable(error: dict[str, str]) -> SourceError:
    """Return why the reader refused a document, as the error that it was in the other process."""
    kinds: tuple[type[SourceError], ...] = (
        MalformedSource,
        ProtectedSource,
        NoTextLayer,
        SourceTooLarge,
        UnreadableSource,
    )
    kind = next((kind for kind in kinds if kind.code == error["code"]), MalformedSource)
    return kind(error["what"], where=error["where"], fix=error["fix"])


def _no_document() -> NotFound:
    return NotFound(
        "no document of the library folder has that id", where="document", fix="see GET /v1/admin/documents"
    )


def _etag_parameter(name: str, about: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": about,
        "schema": {"type": "string"},
        "example": '"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
    }


_PRECONDITIONS = [
    _etag_parameter("If-Match", "SHA-256 of the version that is to be replaced or deleted, in quotation marks."),
    _etag_parameter("If-None-Match", '"*": only if there is no such document.'),
]

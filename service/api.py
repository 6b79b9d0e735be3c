"""
The routes for programs, under /v1: transport alone; answering and reading the library happen elsewhere.
"""

# No postponed annotations here: the framework reads them, and some name a function's own variables.
import base64
from datetime import UTC, date, datetime
from types import UnionType
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from index.catalogue_rows import StoredDocument
from index.model import Filters
from index.resolve_link import PassageState
from index.snapshot import Snapshot
from index.store import IndexDir
from ingest.model import SourceType
from service.bodies import read_ask_json
from service.citing import document_card, proof
from service.desk import Desk
from service.examples import ABSTENTION, ASK_REQUEST, ASK_RESPONSE, CHANGED_PASSAGE, MOVED_PASSAGE, PASSAGE
from service.health_schemas import Health
from service.library_view import PassageInPlace, find_document
from service.permalink_schemas import ChangedPassageReply
from service.permalinks import LinkedPassage, follow_link
from service.problems import PROBLEM_MEDIA_TYPE, Problem
from service.runtime import Service
from service.schemas import (
    AskRequest,
    AskResponse,
    CitationOut,
    ContextOut,
    DocumentOut,
    DocumentPage,
    LibraryDocumentOut,
    PassageReply,
    ProblemOut,
    ProofOut,
    SnapshotOut,
    SourceReferenceOut,
)

Word = Annotated[str, Field(min_length=1, max_length=200)]
DocumentId = Annotated[str, Path(description="Path of the document in the corpus.", examples=["withdrawal/onset.md"])]


class DocumentsQuery(BaseModel):
    """Which documents, and which stretch of their list."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    offset: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    source_type: Annotated[list[SourceType], Field(max_length=50)] = []
    tag: Annotated[list[Word], Field(max_length=50)] = []
    language: Annotated[str, Field(max_length=35)] = ""


class PassageQuery(BaseModel):
    """How much of what stands around a passage."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    context: bool = False


def add_api(app: FastAPI, service: Service, desk: Desk) -> None:
    """Add the routes under /v1."""

    async def ask_body(request: Request) -> AskRequest:
        return await read_ask_json(request, service.settings.max_body_bytes, service.settings.body_timeout_s)

    @app.post(
        "/v1/ask",
        operation_id="ask",
        summary="Answer a question with quotations",
        responses=_responses(
            AskResponse,
            [408, 413, 415, 422, 429, 500, 503],
            examples={"answer": {"value": ASK_RESPONSE}, "abstention": {"value": ABSTENTION}},
        ),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/AskRequest"},
                        "examples": {"question": {"value": ASK_REQUEST}},
                    }
                },
            }
        },
    )
    async def post_ask(request: Request, body: Annotated[AskRequest, Depends(ask_body)]) -> Response:
        """Quote the passages that answer, word for word; or say that none does. The question is stored nowhere."""

        def ask() -> Response:
            answer = service.ask(service.check_question(body))
            return _json(AskResponse.from_answer(answer), {"cache-control": "no-store"})

        return await desk.serve(request.client, ask)

    _add_document_list(app, service)
    # Before the document itself, whose id may hold slashes; no document's id ends in "/text", all have an ending.
    _add_document_text(app, service)
    _add_document(app, service)
    _add_passage(app, service)
    _add_health(app, service)


def _add_document_list(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/documents",
        operation_id="list_documents",
        summary="List the library",
        responses=_responses(DocumentPage, [304, 422, 500, 503]),
    )
    def get_documents(request: Request, query: Annotated[DocumentsQuery, Query()]) -> Response:
        """List documents by id, a page at a time."""
        with service.snapshot() as snapshot:
            if not_modified := _not_modified(request, _metadata_tag(snapshot)):
                return not_modified
            return _json(_page_of(snapshot, query), {"etag": _metadata_tag(snapshot), "cache-control": "no-cache"})


def _add_document_text(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/documents/{document_id:path}/text",
        operation_id="get_document_text",
        summary="The text that offsets count in",
        response_class=PlainTextResponse,
        responses=_text_responses(),
    )
    def get_document_text(request: Request, document_id: DocumentId) -> Response:
        """Serve exactly the bytes whose SHA-256 is `text_sha256`: UTF-8, line ends as LF, nothing added."""
        with service.snapshot() as snapshot:
            document = find_document(snapshot, document_id)
            tag = f'"{document.text_sha256}"'
            if not_modified := _not_modified(request, tag):
                return not_modified
            digest = base64.b64encode(bytes.fromhex(document.text_sha256)).decode()
            headers = {
                "etag": tag,
                "cache-control": "no-cache",
                "x-text-sha256": document.text_sha256,
                "repr-digest": f"sha-256=:{digest}:",
            }
            text = snapshot.catalogue.text(document_id)
            return Response(text.encode("utf-8"), media_type="text/plain; charset=utf-8", headers=headers)


def _add_document(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/documents/{document_id:path}",
        operation_id="get_document",
        summary="One document of the library",
        responses=_responses(LibraryDocumentOut, [304, 404, 422, 500, 503]),
    )
    def get_document(request: Request, document_id: DocumentId) -> Response:
        """Describe one document, without its text."""
        with service.snapshot() as snapshot:
            found = find_document(snapshot, document_id)
            if not_modified := _not_modified(request, _metadata_tag(snapshot)):
                return not_modified
            headers = {"etag": _metadata_tag(snapshot), "cache-control": "no-cache"}
            return _json(_library_document(found), headers)


def _add_passage(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/passages/{passage_id}",
        operation_id="get_passage",
        summary="One passage by its id",
        responses=_responses(
            PassageReply | ChangedPassageReply,
            [304, 404, 410, 422, 500, 503],
            examples={
                "same": {"value": PASSAGE},
                "moved": {"value": MOVED_PASSAGE},
                "changed": {"value": CHANGED_PASSAGE},
            },
        ),
    )
    def get_passage(
        request: Request,
        passage_id: Annotated[str, Path(description="As `passages[].id` of an answer.", examples=["5f0c2a9d41be7730"])],
        query: Annotated[PassageQuery, Query()],
    ) -> Response:
        """
        Quote one passage with its citation; `?context=1` adds what stands around it, apart from the quote.

        Every id ever published has an answer: `state` is same, moved (the same words elsewhere) or changed (the
        document is there, the words are not); 410 says that it was withdrawn. 404: there never was such an id.
        """
        with service.snapshot() as snapshot:
            found = follow_link(snapshot, IndexDir(service.settings.index_dir), passage_id, _today())
            if not_modified := _not_modified(request, _metadata_tag(snapshot)):
                return not_modified
            reply = _linked_reply(found, snapshot, with_context=query.context)
            return _json(reply, {"etag": _metadata_tag(snapshot), "cache-control": "no-cache"})


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/health",
        operation_id="get_health",
        summary="Can questions be answered?",
        responses=_responses(Health, [500]) | {503: {"model": Health, "description": "Lives, but can't answer yet."}},
    )
    async def get_health() -> Response:
        """Say whether questions can be answered and from which snapshot; 503 with the same body while they can't."""
        health = service.health()
        return _json(health, {"cache-control": "no-store"}, status=200 if health.ready else 503)

    @app.get(
        "/v1/health/live",
        operation_id="get_health_live",
        summary="Does the process live?",
        responses=_responses(Health, [500]),
    )
    async def get_health_live() -> Response:
        """Say the same with status 200 as long as the process answers at all."""
        return _json(service.health(), {"cache-control": "no-store"})

    @app.get(
        "/v1/health/ready",
        operation_id="get_health_ready",
        summary="Should questions be sent here?",
        responses=_responses(Health, [500]) | {503: {"model": Health, "description": "Not now."}},
    )
    async def get_health_ready() -> Response:
        """Say the same with status 503 while nothing can be answered, and from the moment the process is to end."""
        health = service.health()
        return _json(health, {"cache-control": "no-store"}, status=200 if health.ready else 503)

    if (metrics := service.metrics) is not None:

        @app.get("/metrics", include_in_schema=False)
        async def get_metrics() -> Response:
            return Response(metrics.text(), media_type=metrics.content_type, headers={"cache-control": "no-store"})


def _page_of(snapshot: Snapshot, query: DocumentsQuery) -> DocumentPage:
    filters = Filters(source_type=tuple(query.source_type), tags=tuple(query.tag), language=query.language)
    total = snapshot.catalogue.count_documents(filters)
    found = snapshot.catalogue.list_documents(query.offset, query.limit, filters)
    following = query.offset + len(found)
    parameters = query.model_dump(mode="json", exclude_defaults=True) | {"limit": query.limit, "offset": following}
    return DocumentPage(
        documents=tuple(_library_document(document) for document in found),
        total=total,
        limit=query.limit,
        offset=query.offset,
        next=f"/v1/documents?{urlencode(parameters, doseq=True)}" if found and following < total else None,
        snapshot=_snapshot_out(snapshot),
    )


def _library_document(document: StoredDocument) -> LibraryDocumentOut:
    card = DocumentOut.from_card(document_card(document, _today()))
    return LibraryDocumentOut(
        **{name: getattr(card, name) for name in DocumentOut.model_fields},
        n_chars=document.n_chars,
        n_pages=document.n_pages,
        n_passages=document.n_passages,
        warnings=document.warnings,
        proof=ProofOut.from_proof(proof(document)),
        text_path=f"/v1/documents/{quote(document.id)}/text",
        sources=tuple(SourceReferenceOut.from_reference(source) for source in document.metadata.sources),
    )


def _linked_reply(
    linked: LinkedPassage, snapshot: Snapshot, *, with_context: bool
) -> PassageReply | ChangedPassageReply:
    place = linked.place
    if linked.state is not PassageState.CHANGED and place is not None:
        moved_from = linked.cited_id if linked.state is PassageState.MOVED else None
        return _passage_reply(place, snapshot, with_context=with_context, moved_from=moved_from)
    return ChangedPassageReply(
        state="changed",
        id=linked.cited_id,
        since=linked.since,
        document=DocumentOut.from_card(linked.card),
        current=_passage_reply(place, snapshot, with_context=with_context) if place else None,
        snapshot=_snapshot_out(snapshot),
    )


def _passage_reply(
    found: PassageInPlace, snapshot: Snapshot, *, with_context: bool, moved_from: str | None = None
) -> PassageReply:
    passage = found.stored.passage
    return PassageReply(
        state="moved" if moved_from else "same",
        moved_from=moved_from,
        id=passage.id,
        text=passage.text,
        start=passage.start,
        end=passage.end,
        heading_path=passage.heading_path,
        pages=passage.pages,
        document=DocumentOut.from_card(found.card),
        citation=CitationOut.from_citation(found.citation),
        proof=ProofOut.from_proof(found.proof),
        context=ContextOut(before=found.before, after=found.after) if with_context else None,
        snapshot=_snapshot_out(snapshot),
    )


def _snapshot_out(snapshot: Snapshot) -> SnapshotOut:
    return SnapshotOut(id=snapshot.id, built_at=snapshot.manifest.created_at)


def _today() -> date:
    return datetime.now(UTC).date()


def _metadata_tag(snapshot: Snapshot) -> str:
    """Name a state of the metadata: the snapshot, and the day because a review falls overdue overnight."""
    return f'"{snapshot.id}.{_today():%Y%m%d}"'


def _not_modified(request: Request, tag: str) -> Response | None:
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    if tag in known or known == ["*"]:
        return Response(status_code=304, headers={"etag": tag, "cache-control": "no-cache"})
    return None


def _json(model: BaseModel, headers: dict[str, str], status: int = 200) -> Response:
    """Send a model that is valid already; FastAPI would validate and encode it a second time."""
    return Response(model.model_dump_json(), status, headers, media_type="application/json")


_STATUS_EXAMPLES = {
    404: Problem(404, "not_found", "Not found", "document: no document has that id", "see GET /v1/documents"),
    408: Problem(
        408, "body_too_slow", "The request was too slow", "body: not there within 10 seconds", "send it again"
    ),
    410: Problem(
        410, "passage_withdrawn", "The passage was withdrawn", "passage: withdrawn on 2026-11-21", "ask again"
    ),
    413: Problem(413, "body_too_large", "The request is too large", "body: more than 65536 bytes", "send less"),
    415: Problem(415, "media_type_unsupported", "Unsupported content type", "Content-Type: not JSON", "send JSON"),
    422: Problem(422, "request_invalid", "The request is not valid", "body: top_k must be at least 1", "see this page"),
    429: Problem(429, "rate_limited", "Too many questions", "more than 60 in a minute", "ask again in 12 seconds"),
    500: Problem(500, "internal_error", "Internal error", "Something failed that should not.", "Try again."),
    503: Problem(503, "no_snapshot", "Nothing has been indexed yet", "there is no index", "run `citewell build`"),
}


def _responses(
    model: type[BaseModel] | UnionType, statuses: list[int], examples: dict[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Return what a route may send, for the OpenAPI document."""
    success: dict[str, Any] = {"model": model, "description": "As asked.", "headers": _HEADERS_OUT}
    if examples:
        success["content"] = {"application/json": {"examples": examples}}
    responses: dict[int | str, dict[str, Any]] = {200: success}
    for status in statuses:
        if status == 304:
            responses[304] = {"description": "Unchanged since the ETag that was sent."}
            continue
        example = _STATUS_EXAMPLES[status].as_json("9f2c4e6a8b0d1f3e5a7c9b1d3f5e7a90")
        responses[status] = {
            "description": _STATUS_EXAMPLES[status].title,
            "headers": _HEADERS_OUT,
            "content": {
                PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}, "example": example}
            },
        }
    return responses


def _text_responses() -> dict[int | str, dict[str, Any]]:
    responses = _responses(ProblemOut, [304, 404, 422, 500, 503])
    responses[200] = {
        "description": "The text.",
        "headers": _HEADERS_OUT | {"X-Text-SHA256": {"description": "As `text_sha256`.", "schema": {"type": "string"}}},
        "content": {
            "text/plain": {"schema": {"type": "string"}, "example": "# Onset\n\nWithdrawal usually starts ..."}
        },
    }
    return responses


_HEADERS_OUT = {
    "X-Request-ID": {"description": "Also in the server's log.", "required": True, "schema": {"type": "string"}}
}

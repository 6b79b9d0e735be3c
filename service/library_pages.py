"""
The pages of the library: the list of documents and the reader of one. Transport and words alone.
"""

# No postponed annotations here: the framework reads them.
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import RedirectResponse

from index.catalogue_rows import StoredDocument
from index.model import Filters
from index.resolve_link import PassageState
from index.snapshot import Snapshot
from index.store import IndexDir
from ingest.model import Passage, SourceType
from service.browsing import FacetCache
from service.citing import document_card
from service.errors import PassageWithdrawn
from service.library_view import find_document, find_passage
from service.linked_data import describe_document
from service.pages import Pages
from service.permalinks import LinkedPassage, follow_link, is_moved_here
from service.reading import Leaf, lay_out
from service.runtime import Service

_PER_PAGE = 50


class BrowseQuery(BaseModel):
    """Which documents to list. There is no free text: what somebody looks for does not belong into an address."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    # The empty choice of a form arrives as an empty text.
    source_type: Annotated[SourceType | None, BeforeValidator(lambda value: value or None)] = None
    tag: Annotated[str, Field(max_length=200)] = ""
    language: Annotated[str, Field(max_length=35)] = ""
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class ReaderQuery(BaseModel):
    """Which part of a document, and which passage of it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    passage: Annotated[str, Field(max_length=200)] = ""
    moved_from: Annotated[str, Field(max_length=200)] = ""
    part: Annotated[int, Field(ge=1, le=1_000_000)] = 1


@dataclass(frozen=True, slots=True)
class Step:
    """A way to another page, or to another place in this one; "" where there is none."""

    number: int
    total: int
    previous: str
    following: str


def add_library_pages(app: FastAPI, service: Service, pages: Pages) -> None:
    """Add the list of documents, the reader and the permanent links into it."""
    facets = FacetCache()
    index_dir = IndexDir(service.settings.index_dir)

    @app.get("/documents", include_in_schema=False)
    def get_documents(query: Annotated[BrowseQuery, Query()]) -> Response:
        with service.snapshot() as snapshot:
            return pages.library(facets=facets.get(snapshot), query=query, **_listing(snapshot, query))

    @app.get("/documents/{document_id:path}", include_in_schema=False)
    def get_reader(document_id: str, query: Annotated[ReaderQuery, Query()]) -> Response:
        with service.snapshot() as snapshot:
            document = find_document(snapshot, document_id)
            is_moved = is_moved_here(snapshot, index_dir, query.moved_from, query.passage)
            return pages.reader(**_reading(snapshot, document, query), is_moved=is_moved)

    @app.get("/c/{passage_id}", include_in_schema=False)
    def get_permalink(request: Request, passage_id: str) -> Response:
        try:
            with service.snapshot() as snapshot:
                linked = follow_link(snapshot, index_dir, passage_id, _today())
        except PassageWithdrawn as error:
            if "text/html" not in request.headers.get("accept", ""):
                raise
            response = pages.withdrawn(error.since)
            response.headers["vary"] = "Accept"
            return response
        if linked.state is PassageState.CHANGED:
            return pages.changed(linked, _linked_address(linked))
        # Temporary: after a rebuild the passage may stand in another document.
        return RedirectResponse(_linked_address(linked), 302, {"cache-control": "no-cache"})


def _linked_address(linked: LinkedPassage) -> str:
    """Return where the reader shows a linked passage, or its document where there is none."""
    if linked.place is None:
        return f"/documents/{quote(linked.card.id)}"
    moved_from = linked.cited_id if linked.state is PassageState.MOVED else ""
    return _reader_address(linked.card.id, linked.place.stored.passage.id, moved_from)


def _reader_address(document_id: str, passage_id: str, moved_from: str = "") -> str:
    here = quote(passage_id, safe="")
    moved = f"&moved_from={quote(moved_from, safe='')}" if moved_from else ""
    return f"/documents/{quote(document_id)}?passage={here}{moved}#p-{here}"


def _listing(snapshot: Snapshot, query: BrowseQuery) -> dict[str, Any]:
    filters = Filters(
        source_type=(query.source_type,) if query.source_type else (),
        tags=(query.tag,) if query.tag else (),
        language=query.language,
    )
    total = snapshot.catalogue.count_documents(filters)
    n_pages = max(1, -(-total // _PER_PAGE))
    page = min(query.page, n_pages)
    found = snapshot.catalogue.list_documents((page - 1) * _PER_PAGE, _PER_PAGE, filters)
    chosen = query.model_dump(mode="json", exclude_defaults=True, exclude={"page"})

    def at(number: int) -> str:
        return f"/documents?{urlencode({**chosen, 'page': number})}" if 1 <= number <= n_pages else ""

    return {
        "cards": [(document_card(document, _today()), f"/documents/{quote(document.id)}") for document in found],
        "total": total,
        "step": Step(page, n_pages, at(page - 1), at(page + 1)),
    }


def _reading(snapshot: Snapshot, stored: StoredDocument, query: ReaderQuery) -> dict[str, Any]:
    passages = [p.passage for p in snapshot.catalogue.passages_of(stored.id)]
    leaf = lay_out(snapshot.catalogue.full_document(stored.id), passages, query.part, query.passage)
    ids = [passage.id for passage in passages]
    # A link may name a passage that the document no longer has: the document is shown without one.
    is_marked = query.passage in ids
    return {
        "card": document_card(stored, _today()),
        "sources": stored.metadata.sources,
        "leaf": leaf,
        "leaf_step": _leaf_step(stored.id, leaf),
        "marked": query.passage if is_marked else "",
        "found": find_passage(snapshot, query.passage, _today()) if is_marked else None,
        "passage_step": _passage_step(passages, ids.index(query.passage)) if is_marked else None,
        "text_path": f"/v1/documents/{quote(stored.id)}/text",
        "linked_data": describe_document(stored.metadata, snapshot.manifest.title or "Citewell"),
    }


def _leaf_step(document_id: str, leaf: Leaf) -> Step:
    def at(number: int) -> str:
        return f"/documents/{quote(document_id)}?part={number}" if 1 <= number <= leaf.n_leaves else ""

    return Step(leaf.number, leaf.n_leaves, at(leaf.number - 1), at(leaf.number + 1))


def _passage_step(passages: list[Passage], index: int) -> Step:
    def at(i: int) -> str:
        return _reader_address(passages[i].document_id, passages[i].id) if 0 <= i < len(passages) else ""

    return Step(index + 1, len(passages), at(index - 1), at(index + 1))


def _today() -> date:
    return datetime.now(UTC).date()

"""
The pages for people: search, reader, permalink. They work without JavaScript; a question travels in a form's body.

Templates show values; whatever decides what is shown stands here.
"""

# No postponed annotations here: the framework reads them, and some name a function's own variables.
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Query, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from ingest.model import SourceType
from ingest.readers import readable_suffixes
from service.answer import Answer, Question
from service.bodies import read_ask_form
from service.citing import document_card
from service.edge import PAGE_SECURITY_POLICY, ProblemResponse, RenderError, request_id_of
from service.library_view import cut_at_passages, find_document, find_passage, web_address
from service.problems import Problem
from service.runtime import Service
from service.schemas import AskRequest
from service.settings import Settings

_WEB = Path(__file__).parent / "web"
# Served one by one: whatever else lies in the folder stays inside.
_STATIC = {
    "citewell.css": "text/css; charset=utf-8",
    "admin.css": "text/css; charset=utf-8",
    "admin.js": "text/javascript; charset=utf-8",
    "admin_api.js": "text/javascript; charset=utf-8",
    "admin_dom.js": "text/javascript; charset=utf-8",
    "admin_views.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
# The page loads its script and talks to this service; nothing else, and no script makes HTML of text.
_ADMIN_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

KINDS = {
    SourceType.GOVERNMENT: "Government",
    SourceType.PEER_REVIEWED: "Peer-reviewed research",
    SourceType.HEALTH_SERVICE: "Health service",
    SourceType.CHARITY: "Charity",
    SourceType.TREATMENT_PROVIDER: "Treatment provider",
    SourceType.NEWS: "News",
    SourceType.PERSONAL: "Personal account",
    SourceType.OTHER: "Other",
}
FLAGS = {
    "undated": "No date given",
    "old": "More than ten years old",
    "review_overdue": "Its review is overdue: it may be out of date",
    "commercial": "Published by a company that sells treatment",
    "personal_testimony": "One person's experience",
}


class Pages:
    """Renders templates; made once for an application."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(_WEB / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.globals.update(kinds=KINDS, flag_names=FLAGS)
        self._templates.filters["web_address"] = web_address
        self._templates.filters["contact_address"] = _contact_address

    def search(
        self,
        *,
        asked: Question | None = None,
        answer: Answer | None = None,
        problem: Problem | None = None,
        request_id: str = "",
    ) -> Response:
        """Return the search page: empty, with an answer or an abstention, or with an error (and then no question)."""
        text = self._templates.get_template("search.html").render(
            question=asked.text if asked else "",
            chosen=asked.filters.source_type if asked else (),
            answer=answer,
            problem=problem,
            request_id=request_id,
        )
        return _page(text, problem.status if problem else 200, cache="no-store")

    def reader(self, **values: Any) -> Response:
        """Return the page of one document."""
        return _page(self._templates.get_template("reader.html").render(values), 200, cache="no-cache")

    def admin(self, settings: Settings) -> Response:
        """Return the page for administering; without a token for it the page says so."""
        text = self._templates.get_template("admin.html").render(
            is_on=bool(settings.admin_tokens),
            max_upload_bytes=settings.max_upload_bytes,
            suffixes=readable_suffixes(),
        )
        headers = {"content-security-policy": _ADMIN_SECURITY_POLICY, "cache-control": "no-store"}
        return HTMLResponse(text, 200, headers)


def render_error(pages: Pages, docs_url: str) -> RenderError:
    """Return what shows an error: a page to a browser that asks for one, JSON to everything else and under /v1."""

    def render(request: Request, problem: Problem) -> Response:
        request_id = request_id_of(request.scope)
        is_api = request.url.path.startswith(("/v1/", "/openapi.json"))
        if not is_api and "text/html" in request.headers.get("accept", ""):
            response = pages.search(problem=problem, request_id=request_id)
        else:
            response = ProblemResponse(problem.as_json(request_id, docs_url), problem.status)
            response.headers["cache-control"] = "no-store"
        if not is_api:
            response.headers["vary"] = "Accept"
        return response

    return render


def add_pages(app: FastAPI, service: Service, pages: Pages) -> None:
    """Add the routes for people; the OpenAPI document, which is for programs, leaves them out."""

    async def asked_by_form(request: Request) -> AskRequest:
        return await read_ask_form(request, service.settings.max_body_bytes)

    @app.get("/", include_in_schema=False)
    def get_search() -> Response:
        with service.snapshot():
            return pages.search()

    @app.post("/", include_in_schema=False)
    def post_search(asked: Annotated[AskRequest, Depends(asked_by_form)]) -> Response:
        question = service.check_question(asked)
        return pages.search(asked=question, answer=service.ask(question))

    @app.get("/documents/{document_id:path}", include_in_schema=False)
    def get_reader(document_id: str, passage: Annotated[str, Query(max_length=200)] = "") -> Response:
        with service.snapshot() as snapshot:
            document = find_document(snapshot, document_id)
            return pages.reader(
                card=document_card(document, datetime.now(UTC).date()),
                cuts=cut_at_passages(snapshot, document_id),
                highlighted=passage,
                text_path=f"/v1/documents/{quote(document.id)}/text",
            )

    @app.get("/c/{passage_id}", include_in_schema=False)
    def get_permalink(passage_id: str) -> Response:
        with service.snapshot() as snapshot:
            found = find_passage(snapshot, passage_id, datetime.now(UTC).date())
        here = quote(found.stored.passage.id, safe="")
        address = f"/documents/{quote(found.card.id)}?passage={here}#p-{here}"
        # Temporary: after a rebuild the passage may stand in another document.
        return RedirectResponse(address, 302, {"cache-control": "no-cache"})

    @app.get("/admin", include_in_schema=False)
    def get_admin() -> Response:
        return pages.admin(service.settings)

    for name, media_type in _STATIC.items():
        app.add_api_route(f"/static/{name}", _static_file(name, media_type), methods=["GET"], include_in_schema=False)


def _static_file(name: str, media_type: str) -> Any:
    content = (_WEB / name).read_bytes()

    async def get_static() -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "public, max-age=3600"})

    return get_static


def _page(text: str, status: int, cache: str) -> Response:
    return HTMLResponse(text, status, {"content-security-policy": PAGE_SECURITY_POLICY, "cache-control": cache})


def _contact_address(href: str) -> str:
    """Return a notice's link if it is a telephone number, a text message or a web address, otherwise ""."""
    return href if href.lower().startswith(("tel:", "sms:", "https://", "http://")) else ""

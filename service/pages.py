"""
The pages for people: search, reader, permalink. They work without JavaScript; a question travels in a form's body.

Templates show values; whatever decides what is shown stands here.
"""

# No postponed annotations here: the framework reads them, and some name a function's own variables.
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from ingest.model import SourceType
from ingest.readers import readable_suffixes
from service.answer import Answer, Question
from service.bodies import asked_text, read_ask_form
from service.desk import Desk
from service.edge import (
    PAGE_SECURITY_POLICY,
    SCRIPTED_PAGE_SECURITY_POLICY,
    ProblemResponse,
    RenderError,
    request_id_of,
)
from service.library_view import web_address
from service.permalinks import LinkedPassage
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
    "embed.js": "text/javascript; charset=utf-8",
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


# Of other languages the code is shown.
_LANGUAGE_NAMES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "zh": "Chinese",
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
        self._templates.filters["name_languages"] = _name_languages
        self._templates.filters["day"] = _day
        self._templates.filters["sentence"] = _sentence

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

    def library(self, **values: Any) -> Response:
        """Return the list of documents."""
        return _page(self._templates.get_template("library.html").render(values), 200, cache="no-cache")

    def embed(self, **values: Any) -> Response:
        """Return the page that shows the search box for other sites; the only one that runs scripts."""
        text = self._templates.get_template("embed.html").render(values)
        return _page(text, 200, cache="no-cache", policy=SCRIPTED_PAGE_SECURITY_POLICY)

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
        return _page(text, 200, cache="no-store", policy=_ADMIN_SECURITY_POLICY)

    def changed(self, linked: LinkedPassage, address: str) -> Response:
        """Return the page of a cited passage whose words are gone, with what stands there now set apart."""
        text = self._templates.get_template("permalink.html").render(linked=linked, address=address)
        return _page(text, 200, cache="no-cache")

    def withdrawn(self, since: date | None) -> Response:
        """Return the page of a cited passage that was withdrawn: when, and none of its words."""
        text = self._templates.get_template("permalink.html").render(linked=None, since=since)
        return _page(text, 410, cache="no-cache")


def render_error(pages: Pages, service: Service) -> RenderError:
    """
    Return what shows an error: a page to a browser that asks for one, JSON to everything else and under /v1.

    Whatever failed, what somebody asked is held against the notices: an error must not keep one from them.
    """
    docs_url = service.settings.docs_public_url

    def render(request: Request, problem: Problem) -> Response:
        problem = replace(problem, notices=service.notices_for_refused(asked_text(request.scope)))
        service.count_error(problem.status, problem.code)
        request_id = request_id_of(request.scope)
        is_api = request.url.path.startswith(("/v1/", "/openapi.json"))
        if not is_api and "text/html" in request.headers.get("accept", ""):
            response = pages.search(problem=problem, request_id=request_id)
        else:
            response = ProblemResponse(problem.as_json(request_id, docs_url), problem.status)
            response.headers["cache-control"] = "no-store"
        response.headers.update(problem.headers)
        if not is_api:
            response.headers["vary"] = "Accept"
        return response

    return render


def add_pages(app: FastAPI, service: Service, pages: Pages, desk: Desk) -> None:
    """Add the routes for people; the OpenAPI document, which is for programs, leaves them out."""

    async def asked_by_form(request: Request) -> AskRequest:
        return await read_ask_form(request, service.settings.max_body_bytes, service.settings.body_timeout_s)

    @app.get("/", include_in_schema=False)
    def get_search() -> Response:
        with service.snapshot():
            return pages.search()

    @app.post("/", include_in_schema=False)
    async def post_search(request: Request, asked: Annotated[AskRequest, Depends(asked_by_form)]) -> Response:
        def search() -> Response:
            question = service.check_question(asked)
            return pages.search(asked=question, answer=service.ask(question))

        return await desk.serve(request.client, search)

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


def _page(text: str, status: int, cache: str, policy: str = PAGE_SECURITY_POLICY) -> Response:
    return HTMLResponse(text, status, {"content-security-policy": policy, "cache-control": cache})


def _name_languages(codes: Sequence[str]) -> str:
    """Return "English, Spanish or sw"."""
    names = [_LANGUAGE_NAMES.get(code, code) for code in codes]
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _day(value: date) -> str:
    """Return "5 March 2021", which means the same day everywhere."""
    return f"{value.day} {value:%B %Y}"


def _sentence(said: str) -> str:
    """Return an error's words as a sentence for people, without the name of the field in front."""
    words = said.removeprefix("question: ").removeprefix("form: ")
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '!', '?')) else '.'}"


def _contact_address(href: str) -> str:
    """Return a notice's link if it is a telephone number, a text message or a web address, otherwise ""."""
    return href if href.lower().startswith(("tel:", "sms:", "https://", "http://")) else ""

"""
The web application, put together from its parts. Nothing happens at import and nothing is global: see `create_app`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi

from index.live import LiveSnapshot
from service.admin import Admin, add_admin
from service.admission import Admission, Places
from service.api import add_api
from service.box import Box, add_box
from service.client_address import ForwardedClient
from service.desk import Desk
from service.edge import CorsWithProblems, CrashGuard, Edge, RenderError, error_handlers, show_app_error
from service.embed_page import add_embed_page
from service.gap_routes import add_gap_report, open_gap_counts
from service.guard import describe_security, make_guard
from service.library_pages import add_library_pages
from service.metrics import Metrics
from service.operator_files import OperatorFiles, open_files
from service.pages import Pages, add_pages, render_error
from service.rate_limit import RateLimiter
from service.refreshing import Refresher
from service.runtime import EncoderProvider, Service
from service.schemas import AskRequest, ProblemOut
from service.settings import Settings

# Of the lifespan's state: the event that is set when the process is to end.
DRAINING = "draining"
# What a page of another site may read of a response.
_EXPOSED = ("etag", "ratelimit", "ratelimit-policy", "repr-digest", "retry-after", "x-request-id", "x-text-sha256")
_ABOUT = (
    "Answers questions with verbatim, cited passages from a library of documents, or says that none answers. "
    "Questions are not stored, logged or put into addresses."
)


def create_app(
    settings: Settings,
    live: LiveSnapshot,
    encoder_provider: EncoderProvider,
    files: OperatorFiles | None = None,
    metrics: Metrics | None = None,
) -> FastAPI:
    """
    Put the application together.

    While it runs it looks for new snapshots and changed files every `settings.refresh_s` seconds; it closes `live` when
    it ends. The server tells it that it is about to end through `draining` of the lifespan's state.

    Args:
        files: the operator's files as they were read; None reads them now.
        metrics: where figures go; None makes some of this process's own, if the operator wants any.

    Raises:
        NoticesInvalid, LexiconInvalid, CalibrationInvalid: a file of the operator is not valid.
    """
    files = files or open_files(settings)
    metrics = (metrics or Metrics()) if settings.metrics else None
    service = Service(settings, live, encoder_provider, files, metrics, open_gap_counts(settings))
    pages = Pages()
    render = render_error(pages, service)
    places = Places(settings.threads + settings.max_waiting)
    running = _Running(service, Refresher(live, settings.refresh_s, files, metrics))
    app = FastAPI(
        title="Citewell",
        version=service.version,
        summary="Quotations that answer, with their sources",
        description=_ABOUT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        # FastAPI's own pages load scripts from a third party.
        docs_url=None,
        redoc_url=None,
        lifespan=running.lifespan,
        redirect_slashes=False,
        exception_handlers=error_handlers(render),
        # In front of every route, whoever adds it.
        dependencies=[Depends(make_guard(settings))],
    )
    _add_routes(app, service, pages, Desk(places, RateLimiter(settings.rate_limit) if settings.rate_limit else None))
    running.admin = add_admin(app, service)
    # FastAPI's documented way to extend the document; mypy sees a method.
    app.openapi = lambda: _openapi(app, settings)  # type: ignore[method-assign]
    add_embed_page(app, pages, _add_middleware(app, service, places, render))
    return app


class _Running:
    """What begins and ends with the application: the looks for new snapshots, builds over HTTP, the open snapshot."""

    def __init__(self, service: Service, refresher: Refresher) -> None:
        self._service = service
        self._refresher = refresher
        self.admin: Admin | None = None

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[dict[str, object]]:  # noqa: ARG002  the framework's signature
        """Begin before the first request, end after the last one."""
        anyio.to_thread.current_default_thread_limiter().total_tokens = self._service.settings.threads
        # A thread of its own: those of the requests may all hang when the process is to end.
        own = CapacityLimiter(1)
        # Before the first request: whoever is let in finds what there is.
        await anyio.to_thread.run_sync(self._refresher.look, limiter=own)
        self._refresher.start()
        yield {DRAINING: self._service.draining}
        await anyio.to_thread.run_sync(self._refresher.stop, limiter=own)
        if self.admin is not None:
            await anyio.to_thread.run_sync(self.admin.stop, limiter=own)
        self._service.live.close()


def _add_routes(app: FastAPI, service: Service, pages: Pages, desk: Desk) -> None:
    """Add the routes for asking and reading."""
    add_api(app, service, desk)
    add_library_pages(app, service, pages)
    if service.gaps is not None:
        add_gap_report(app, service, service.gaps)
    add_pages(app, service, pages, desk)


def _add_middleware(app: FastAPI, service: Service, places: Places, render: RenderError) -> Box:
    """
    Put around the routes what every request passes; the last one added is the outermost.

    From the inside out:

    - `CrashGuard`: nearest to the routes, so that what nobody foresaw is a problem document to all that follow;
    - `Admission`: places and the time limit; outside of it nothing takes long;
    - CORS: outside of both, so that a page of another site can read their refusals too (429, 503 and their notices);
    - the search box (`add_box`): outside of CORS, as every site may load its script, whatever the allow-list says;
    - `Edge`: request id, security headers and the log line of whatever was answered, preflights included;
    - `ForwardedClient`: outermost, so that everybody inside sees the client that the operator's proxy names.

    Returns:
        The search box, whose route comes with it.
    """
    settings = service.settings
    app.add_middleware(CrashGuard, render=render)
    app.add_middleware(
        Admission, places=places, timeout_s=settings.request_timeout_s, render=partial(show_app_error, render)
    )
    if settings.cors_origins:
        app.add_middleware(
            CorsWithProblems,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["content-type", "if-none-match", "x-request-id"]
            + (["authorization"] if settings.read_tokens else []),
            expose_headers=_EXPOSED,
        )
    box = add_box(app)
    app.add_middleware(Edge, metrics=service.metrics)
    app.add_middleware(ForwardedClient, trusted=settings.trusted_proxies, on_untrusted=service.forged.set)
    return box


def _openapi(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI document: FastAPI's, with the schemas it can't see and the operator's bounds."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        license_info=app.license_info,
    )
    schemas: dict[str, Any] = document["components"]["schemas"]
    for model in (AskRequest, ProblemOut):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    # What FastAPI would answer to a bad parameter; ours are problems.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    fields = schemas["AskRequest"]["properties"]
    fields["question"]["maxLength"] = settings.max_question_chars
    fields["top_k"]["maximum"] = settings.max_top_k
    describe_security(document, settings)
    app.openapi_schema = document
    return document

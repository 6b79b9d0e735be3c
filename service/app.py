"""
The web application, put together from its parts. Nothing happens at import and nothing is global: see `create_app`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi

from index.live import LiveSnapshot
from service.admin import add_admin
from service.api import add_api
from service.edge import CorsWithProblems, CrashGuard, Edge, error_handlers
from service.guard import describe_security, make_guard
from service.pages import Pages, add_pages, render_error
from service.runtime import EncoderProvider, Refresher, Service
from service.schemas import AskRequest, ProblemOut
from service.settings import Settings

_ABOUT = (
    "Answers questions with verbatim, cited passages from a library of documents, or says that none answers. "
    "Questions are not stored, logged or put into addresses."
)


def create_app(settings: Settings, live: LiveSnapshot, encoder_provider: EncoderProvider) -> FastAPI:
    """
    Put the application together.

    While it runs it looks for new snapshots every `settings.refresh_s` seconds; it closes `live` when it ends.
    """
    service = Service(settings, live, encoder_provider)
    pages = Pages()
    render = render_error(pages, settings.docs_public_url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001  the framework's signature
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings.threads
        refresher = Refresher(live, settings.refresh_s)
        # Before the first request: whoever is let in finds what there is.
        await anyio.to_thread.run_sync(refresher.look)
        refresher.start()
        yield
        await anyio.to_thread.run_sync(refresher.stop)
        if admin is not None:
            await anyio.to_thread.run_sync(admin.stop)
        live.close()

    app = FastAPI(
        title="Citewell",
        version=service.version,
        summary="Quotations that answer, with their sources",
        description=_ABOUT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        # FastAPI's own pages load scripts from a third party.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        exception_handlers=error_handlers(render),
        # In front of every route, whoever adds it.
        dependencies=[Depends(make_guard(settings))],
    )
    add_api(app, service)
    admin = add_admin(app, service)
    add_pages(app, service, pages)
    # FastAPI's documented way to extend the document; mypy sees a method.
    app.openapi = lambda: _openapi(app, settings)  # type: ignore[method-assign]
    app.add_middleware(CrashGuard, render=render)
    if settings.cors_origins:
        app.add_middleware(
            CorsWithProblems,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["content-type", "authorization"] if settings.read_tokens else ["content-type"],
            expose_headers=["x-request-id", "etag", "x-text-sha256"],
        )
    app.add_middleware(Edge)
    return app


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

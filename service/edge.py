"""
What every response has in common: request id, security headers, one log line, and one shape for every error.

Plain ASGI, outside of all routes. Never looks into a body.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.errors import AppError
from service.errors import MethodNotAllowed, NotFound, TooBusy
from service.guard import CHALLENGE, is_admin_path
from service.metrics import Metrics
from service.problems import (
    PROBLEM_MEDIA_TYPE,
    UNEXPECTED,
    Problem,
    frames_of,
    problem_from,
    request_invalid,
    rule_for,
)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
# What other sites may load into their pages; everything else of ours is for our own. A route may set its own header.
_FOR_OTHER_SITES = frozenset(("/search-box.js",))
PAGE_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SCRIPTED_PAGE_SECURITY_POLICY = f"{PAGE_SECURITY_POLICY}; script-src 'self'; connect-src 'self'"

# How an error looks: JSON for programs, a page for people.
RenderError = Callable[[Request, Problem], Response]


class ProblemResponse(JSONResponse):
    """An RFC 9457 document."""

    media_type = PROBLEM_MEDIA_TYPE


def request_id_of(scope: Scope) -> str:
    """Return the id that `Edge` gave to a request."""
    return str(scope.get("state", {}).get("request_id", ""))


class Edge:
    """Outermost: gives every response an id and its security headers, and writes the one log line of a request."""

    def __init__(self, app: ASGIApp, metrics: Metrics | None = None) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        sent = Headers(scope=scope).get("x-request-id", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else secrets.token_hex(16)
        is_head = scope["method"] == "HEAD"
        # A copy: HEAD is GET without a body, for every route.
        inner: Scope = {**scope, "method": "GET" if is_head else scope["method"]}
        inner["state"] = {**scope.get("state", {}), "request_id": request_id}
        # Also as if it had been sent: a refused preflight sees headers alone.
        others = [(name, value) for name, value in scope["headers"] if name != b"x-request-id"]
        inner["headers"] = [*others, (b"x-request-id", request_id.encode())]
        status = 499  # nothing was sent: the client left

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if scope["path"] in _FOR_OTHER_SITES:
                    headers.setdefault("cross-origin-resource-policy", "cross-origin")
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        if self._metrics:
            self._metrics.request_started()
        try:
            await self._app(inner, receive, send_on)
        finally:
            route = getattr(inner.get("route"), "path", "unmatched")
            seconds = time.perf_counter() - started
            if self._metrics:
                self._metrics.request_ended(route, status, seconds)
            structlog.get_logger("citewell.request").info(
                "request",
                method=scope["method"] if scope["method"] in _METHODS else "other",
                route=route,
                status=status,
                ms=round(seconds * 1000, 1),
                request_id=request_id,
            )


class CrashGuard:
    """Innermost: what nobody foresaw becomes a problem with an id; its text goes nowhere."""

    def __init__(self, app: ASGIApp, render: RenderError) -> None:
        self._app = app
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def send_on(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  the last line of defence; see the docstring
            structlog.get_logger("citewell.request").error(
                "unexpected_error",
                error=type(error).__name__,
                frames=frames_of(error),
                request_id=request_id_of(scope),
            )
            if not has_started:
                await self._render(Request(scope), UNEXPECTED)(scope, receive, send)


class CorsWithProblems(CORSMiddleware):
    """Starlette's CORS, whose refusal of a preflight is plain text of its own; admin routes are for no other site."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; an admin address is answered as if no other site were allowed."""
        if scope["type"] == "http" and is_admin_path(scope["path"]):
            await self.app(scope, receive, send)
            return
        await super().__call__(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight; a refusal is a problem as everywhere."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        problem = Problem(
            response.status_code,
            "cors_refused",
            "Not allowed from that site",
            "This origin, method or header is not allowed.",
            "The operator lists the sites that may call in the setting cors_origins.",
        )
        headers = {k: v for k, v in response.headers.items() if k not in ("content-length", "content-type")}
        return ProblemResponse(problem.as_json(request_headers["x-request-id"]), problem.status, headers)


Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


def show_app_error(render: RenderError, request: Request, error: AppError) -> Response:
    """Return a foreseen error as it is shown; what is the server's fault is logged, being busy is none."""
    if rule_for(error).status >= 500 and not isinstance(error, TooBusy):
        structlog.get_logger("citewell.request").error(
            "request_failed",
            code=error.code,
            what=error.what,
            where=error.where,
            request_id=request_id_of(request.scope),
        )
    return render(request, problem_from(error))


def error_handlers(render: RenderError) -> dict[int | type[Exception], Handler]:
    """Return the handlers that give every foreseen error the one shape."""

    async def on_app_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, AppError):
            raise error
        response = show_app_error(render, request, error)
        if response.status_code == 401:
            response.headers["www-authenticate"] = CHALLENGE
        return response

    async def on_validation_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise error
        findings = error.errors()
        place = str(findings[0]["loc"][0]) if findings and findings[0]["loc"] else "request"
        known = _parameters_of(request.scope.get("route"))
        fix = f"the parameters are {', '.join(known)}" if known else "see /openapi.json for what the route takes"
        return render(request, problem_from(request_invalid(findings, place, known, fix)))

    async def on_http_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        if error.status_code == 404:
            return render(
                request, problem_from(NotFound("there is nothing at this address", fix="see /openapi.json or /"))
            )
        if error.status_code == 405:
            allowed = ", ".join(_methods_at(request))
            refusal = MethodNotAllowed("this address does not take that method", fix=f"use {allowed}")
            response = render(request, problem_from(refusal))
            response.headers["allow"] = allowed
            return response
        problem = Problem(
            error.status_code, "request_fault", "The request failed", "It can't be handled.", "See /openapi.json."
        )
        return render(request, problem)

    return {AppError: on_app_error, RequestValidationError: on_validation_error, HTTPException: on_http_error}


def _methods_at(request: Request) -> list[str]:
    """Return what the address takes over all of its routes; the router names those of the first one alone."""
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _parameters_of(route: object) -> tuple[str, ...]:
    """Return the names that a route takes in its path and query, those of a model of parameters one by one."""
    dependant = getattr(route, "dependant", None)
    names: list[str] = []
    for parameter in (*dependant.path_params, *dependant.query_params) if dependant else ():
        fields = getattr(parameter.field_info.annotation, "model_fields", None)
        names.extend([parameter.alias] if fields is None else fields)
    return tuple(names)

"""
Who may call what: one check in front of every route, and how the OpenAPI document tells of it.

Everything that is not listed as open needs a token once `read_tokens` is set, also routes that nobody has thought of
here; addresses under /v1/admin always need an admin token.
"""

# No postponed annotations here: the framework reads them.
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime
from typing import Any

from fastapi import Request

from service.admission import ADMIN_PREFIX
from service.errors import AccessDenied, SettingsInvalid, TokenExpired, TokenNeeded
from service.problems import PROBLEM_MEDIA_TYPE, problem_from
from service.settings import Settings
from service.tokens import Access, expired_names, expiry_warnings, find_access, parse_token_hash

# A browser opens the admin page without a token and asks its user for one; a load balancer has none either.
_OPEN = ("/v1/health", "/v1/health/live", "/v1/health/ready", "/openapi.json", "/admin")
_OPEN_FOLDER = "/static/"
CHALLENGE = 'Bearer realm="citewell"'

Guard = Callable[[Request], Coroutine[Any, Any, None]]


def is_admin_path(path: str) -> bool:
    """Tell whether an address belongs to the admin routes or their page."""
    return path == "/admin" or f"{path}/".startswith(ADMIN_PREFIX)


def make_guard(settings: Settings, today: Callable[[], date] | None = None) -> Guard:
    """Return the check that runs before any route, and before a body is read."""
    admin = tuple(parse_token_hash(entry) for entry in settings.admin_tokens)
    readers = tuple(parse_token_hash(entry) for entry in settings.read_tokens)
    day = today or (lambda: datetime.now(UTC).date())
    latest = day()

    async def guard(request: Request) -> None:
        nonlocal latest
        path = request.url.path
        needs_admin = path.startswith(ADMIN_PREFIX)
        if not needs_admin and (not readers or path in _OPEN or path.startswith(_OPEN_FOLDER)):
            return
        # A clock that is set back opens nothing that was closed already.
        latest = max(latest, day())
        access = find_access(request.headers.getlist("authorization"), admin, readers, latest)
        if access is Access.EXPIRED:
            raise token_expired()
        if access is Access.NONE:
            raise token_needed()
        if needs_admin and access is not Access.ADMIN:
            raise access_denied()

    return guard


def token_needed() -> TokenNeeded:
    """Return the error of a request without a token that is known; the same whatever was sent."""
    return TokenNeeded(
        "there is no valid token", where="Authorization", fix="send the header Authorization: Bearer TOKEN"
    )


def token_expired() -> TokenExpired:
    """Return the error of a token whose last day has passed."""
    return TokenExpired(
        "the last day of this token has passed", where="Authorization", fix="ask the operator for a new one"
    )


def access_denied() -> AccessDenied:
    """Return the error of a token for reading on an admin route."""
    return AccessDenied(
        "this token allows asking and reading alone", where="Authorization", fix="use a token of admin_tokens"
    )


def check_tokens(settings: Settings) -> None:
    """
    Refuse to start with a token that has expired: it would be taken for one that works.

    Raises:
        SettingsInvalid: names the setting, the entry's place and its last day.
    """
    today = datetime.now(UTC).date()
    for name, entries in (("admin_tokens", settings.admin_tokens), ("read_tokens", settings.read_tokens)):
        expired = expired_names([parse_token_hash(entry) for entry in entries], today)
        if expired:
            raise SettingsInvalid(
                f"a token has expired: {', '.join(expired)}",
                where=name,
                fix=f"take it out of {name}, or run `citewell token` and set the new hash",
            )


def token_warnings(settings: Settings) -> tuple[str, ...]:
    """Return which tokens end soon, for the health answer; never which token."""
    today = datetime.now(UTC).date()
    return tuple(
        warning
        for name, entries in (("admin_tokens", settings.admin_tokens), ("read_tokens", settings.read_tokens))
        for warning in expiry_warnings(name, [parse_token_hash(entry) for entry in entries], today)
    )


def describe_security(document: dict[str, Any], settings: Settings) -> None:
    """Write into the OpenAPI document which routes need which token, and what is answered without."""
    schemes: dict[str, Any] = {}
    if settings.admin_tokens:
        schemes["adminToken"] = {"type": "http", "scheme": "bearer", "description": "A token of `admin_tokens`."}
    if settings.read_tokens:
        schemes["readToken"] = {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `read_tokens`, or of `admin_tokens`.",
        }
    if not schemes:
        return
    document["components"]["securitySchemes"] = schemes
    for path, operations in document["paths"].items():
        is_admin = path.startswith(ADMIN_PREFIX)
        if not is_admin and (not settings.read_tokens or path in _OPEN):
            continue
        for operation in operations.values():
            operation["security"] = [{"adminToken": []}] if is_admin else [{"readToken": []}]
            operation["responses"]["401"] = _documented(token_needed())
            if is_admin and settings.read_tokens:
                operation["responses"]["403"] = _documented(access_denied())


def _documented(error: TokenNeeded | AccessDenied) -> dict[str, Any]:
    problem = problem_from(error)
    headers: dict[str, Any] = {
        "X-Request-ID": {"description": "Also in the server's log.", "required": True, "schema": {"type": "string"}}
    }
    if problem.status == 401:
        headers["WWW-Authenticate"] = {"description": CHALLENGE, "required": True, "schema": {"type": "string"}}
    return {
        "description": problem.title,
        "headers": headers,
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/ProblemOut"},
                "example": problem.as_json("9f2c4e6a8b0d1f3e5a7c9b1d3f5e7a90"),
            }
        },
    }

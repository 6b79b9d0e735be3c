"""
How the admin routes read JSON and answer: never cached, every error documented with an example. Knows no route.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from service.bodies import JSON, read_body
from service.problems import PROBLEM_MEDIA_TYPE, Problem, request_invalid
from service.settings import Settings

NO_STORE = {"cache-control": "no-store"}
_HEADERS_OUT = {
    "X-Request-ID": {"description": "Also in the server's log.", "required": True, "schema": {"type": "string"}}
}
_Asked = TypeVar("_Asked", bound=BaseModel)


def admin_json(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Send a model that is valid already."""
    return Response(model.model_dump_json(), status, {**NO_STORE, **(headers or {})}, media_type="application/json")


async def read_json(request: Request, model: type[_Asked], settings: Settings, *, is_optional: bool = False) -> _Asked:
    """
    Read a small JSON body.

    Args:
        is_optional: no body at all means the defaults.

    Raises:
        MediaTypeUnsupported, BodyTooLarge, BodyTooSlow, RequestInvalid
    """
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if is_optional and not has_body:
        return model()
    body = await read_body(request, JSON, settings.max_body_bytes, settings.body_timeout_s)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        known = tuple(model.model_fields)
        findings = error.errors(include_url=False, include_input=False)
        raise request_invalid(findings, "body", known, f"the fields are {', '.join(known)}") from None


def body_of(model: type[BaseModel], example: Mapping[str, Any], *, is_required: bool = True) -> dict[str, Any]:
    """Return how the OpenAPI document tells of a JSON body."""
    schema = model.model_json_schema()
    schema.pop("title", None)
    return {
        "requestBody": {
            "required": is_required,
            "content": {JSON: {"schema": schema, "example": dict(example)}},
        }
    }


def answers(
    model: type[BaseModel] | None, statuses: tuple[int, ...], success: int = 200, description: str = "As asked."
) -> dict[int | str, dict[str, Any]]:
    """Return what a route may send, for the OpenAPI document; 401 and 403 are added where tokens are described."""
    found: dict[int | str, dict[str, Any]] = {success: {"description": description, "headers": _HEADERS_OUT}}
    if model is not None:
        found[success]["model"] = model
    for status in (*statuses, 500):
        problem = _EXAMPLES[status]
        found[status] = {
            "description": problem.title,
            "headers": _HEADERS_OUT,
            "content": {
                PROBLEM_MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/ProblemOut"},
                    "example": problem.as_json("9f2c4e6a8b0d1f3e5a7c9b1d3f5e7a90"),
                }
            },
        }
    return found


_EXAMPLES = {
    404: Problem(404, "not_found", "Not found", "build: no build has that id", "see GET /v1/admin/builds"),
    409: Problem(
        409, "writer_busy", "Another build is running", "index: build 2026... is under way", "wait for it to end"
    ),
    412: Problem(
        412, "precondition_failed", "The document has changed", "If-Match: it has another version", "look at it anew"
    ),
    413: Problem(413, "body_too_large", "The request is too large", "body: more than 64000000 bytes", "split it"),
    415: Problem(
        415, "source_unsupported", "No reader for this kind of source", "document id: no reader takes it", "convert it"
    ),
    422: Problem(422, "name_refused", "That name can't be used", "document id: the name is absolute", "choose another"),
    500: Problem(500, "internal_error", "Internal error", "Something failed that should not.", "Try again."),
    503: Problem(503, "no_snapshot", "Nothing has been indexed yet", "there is no index", "build one"),
    507: Problem(507, "corpus_not_writable", "The library can't be written", "no space left", "free some space"),
}

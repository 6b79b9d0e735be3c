"""Reading a request's body: its kind, its size, its decoding. Knows no route and answers nothing."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import Scope

from service.errors import BodyTooLarge, BodyTooSlow, MediaTypeUnsupported, RequestInvalid
from service.problems import request_invalid
from service.schemas import AskRequest, FiltersIn

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
_ASKED = "asked_text"
# Of JSON that ends too soon or holds a slip.
_BEGUN_QUESTION = re.compile(r'"question"\s*:\s*"((?:[^"\\]|\\.)*)', re.DOTALL)
_MAX_FORM_FIELDS = 50
_FORM_FIELDS = ("question", "source_type")
_FIX = (
    f"the fields are {', '.join(AskRequest.model_fields)}; in filters: {', '.join(FiltersIn.model_fields)}; "
    "see /openapi.json"
)


async def read_ask_json(request: Request, max_bytes: int, timeout_s: float) -> AskRequest:
    """
    Read a question sent as JSON. Its text, or what can be made out of it, is kept with the request: see `asked_text`.

    Raises:
        MediaTypeUnsupported, BodyTooLarge, BodyTooSlow, RequestInvalid: none of them holds what was sent.
    """
    body = await read_body(request, JSON, max_bytes, timeout_s)
    _keep_asked(request, _json_question(body))
    return _ask_request(body, "body")


async def read_ask_form(request: Request, max_bytes: int, timeout_s: float) -> AskRequest:
    """
    Read a question sent by the page's form. Its text is kept with the request: see `asked_text`.

    Raises:
        MediaTypeUnsupported, BodyTooLarge, BodyTooSlow, RequestInvalid: none of them holds what was sent.
    """
    body = await read_body(request, FORM, max_bytes, timeout_s)
    _keep_asked(request, _form_text(body))
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MAX_FORM_FIELDS,
        )
    except ValueError:  # also UnicodeDecodeError; its text quotes the body
        raise RequestInvalid(
            "the form can't be decoded", where="form", fix="send at most 50 URL-encoded fields in UTF-8"
        ) from None
    if any(name not in _FORM_FIELDS for name, _ in fields):
        raise RequestInvalid(
            "there is a field that does not exist", where="form", fix=f"the fields are {', '.join(_FORM_FIELDS)}"
        )
    questions = [value for name, value in fields if name == "question"]
    if len(questions) > 1:
        raise RequestInvalid("question is there twice", where="form", fix="send it once")
    source_types = [value for name, value in fields if name == "source_type" and value]
    as_json = {"question": "".join(questions), "filters": {"source_type": source_types}}
    return _ask_request(json.dumps(as_json).encode(), "form")


def asked_text(scope: Scope) -> str:
    """
    Return what somebody asks in a request as far as it was read; "" where there is nothing.

    It lives as long as the request, so that an error too can bring the notices that the text calls for.
    """
    return str(scope.get("state", {}).get(_ASKED, ""))


def _keep_asked(request: Request, text: str) -> None:
    readable = "".join(c if c.isprintable() else " " for c in text)
    request.scope.setdefault("state", {})[_ASKED] = readable


def _json_question(body: bytes) -> str:
    """Return the question of a body, also of one that is refused or cut off; "" where none can be made out."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        begun = _BEGUN_QUESTION.search(body.decode("utf-8", "ignore"))
        return begun[1] if begun else ""
    question = value.get("question") if isinstance(value, dict) else value
    return question if isinstance(question, str) else ""


def _form_text(body: bytes) -> str:
    fields = (part.partition("=") for part in body.decode("ascii", "ignore").split("&"))
    return unquote_plus(next((value for name, _, value in fields if name == "question"), ""), errors="ignore")


async def read_body(request: Request, media_type: str, max_bytes: int, timeout_s: float) -> bytes:
    """
    Read a body of one kind, up to a cap that holds whatever Content-Length claims.

    Raises:
        MediaTypeUnsupported: another kind, another charset than UTF-8, or a compressed body.
        BodyTooLarge: more bytes than the cap; no more than the cap is kept.
        BodyTooSlow: it was not there in time, however busily its bytes kept coming.
    """
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if kind.strip() != media_type or charset not in ("", "utf-8") or "content-encoding" in request.headers:
        raise MediaTypeUnsupported(
            f"the body is not uncompressed {media_type} in UTF-8",
            where="Content-Type",
            fix=f"send the header Content-Type: {media_type}",
        )
    chunks: list[bytes] = []
    try:
        async with asyncio.timeout(timeout_s):
            await _read_chunks(request, max_bytes, chunks)
    except (TimeoutError, BodyTooLarge) as error:
        # Whoever is in danger is met although the rest never came.
        begun = b"".join(chunks)
        _keep_asked(request, _json_question(begun) if media_type == JSON else _form_text(begun))
        if isinstance(error, BodyTooLarge):
            raise
        raise BodyTooSlow(
            f"the body was not there within {timeout_s:g} seconds",
            where="body",
            fix="send it again, in one go",
            headers={"connection": "close"},
        ) from None
    return b"".join(chunks)


async def _read_chunks(request: Request, max_bytes: int, chunks: list[bytes]) -> None:
    # What claims to be too large is read up to the cap all the same: it may be a long call for help.
    declared = request.headers.get("content-length", "")
    n_bytes = 0
    async for chunk in request.stream():
        n_bytes += len(chunk)
        if n_bytes > max_bytes:
            chunks.append(chunk[: max(0, max_bytes - (n_bytes - len(chunk)))])
            raise _too_large(max_bytes)
        chunks.append(chunk)
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body has more than {max_bytes} bytes", where="body", fix="send a shorter question")


def _ask_request(body: bytes, place: str) -> AskRequest:
    try:
        return AskRequest.model_validate_json(body)
    except ValidationError as error:
        findings = error.errors(include_url=False, include_input=False)
        # Without the cause: its text quotes the request.
        raise request_invalid(findings, place, (*AskRequest.model_fields, *FiltersIn.model_fields), _FIX) from None

"""The OpenAPI document against the running application: generated requests, with each kind of token and without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from admin_support import ADMIN, EXPIRED, READ, admin_client, bearer, waiting_process, write_corpus
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from service_support import hashing_encoder, tiny_client
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from index.jobs import JobBook
from index.live import LiveSnapshot
from index.store import IndexDir
from service import builds
from service.app import create_app
from service.settings import Settings
from service.tokens import new_token

CONFORMS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Not `positive_data_acceptance`: what is wrong with a name, a file or a version no schema can tell.
# Not `ignored_auth`: which token opens what is looked at here, token by token.
CHECKS = [*CONFORMS, negative_data_rejection, missing_required_header, unsupported_method, allow_header_conformance]
ASKED = settings(
    max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
# An upload that gets as far as its reader costs a process, a second build half a second of waiting for the first.
ASKED_SLOWLY = settings(ASKED, max_examples=4)
SLOW = {"admin_put_document", "admin_start_build"}
# What a stranger, a thief or a careless client sends.
BAD_TOKENS = {
    "none": {},
    "wrong": bearer(new_token().token),
    "expired": bearer(EXPIRED.token),
    "oversized": bearer("x" * 60_000),
    "other scheme": {"authorization": f"Basic {ADMIN.token}"},
    "nothing after the scheme": {"authorization": "Bearer "},
    "the hash instead": bearer(ADMIN.setting),
    "not ASCII": {"authorization": "Bearer tøken"},
}
OPEN = {"get_health", "get_health_live", "get_health_ready"}


class Current:
    """The application that is running; for the list of operations, before any runs, one that only describes itself."""

    def __init__(self, **values: object) -> None:
        absent = IndexDir(Path("absent"))
        described = Settings(index_dir=absent.path, **values)  # type: ignore[arg-type]
        self.app: ASGIApp = create_app(described, LiveSnapshot(absent), hashing_encoder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on; a caller that would start and stop the application around each finds it running."""
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})


OPEN_APP = Current()
CLOSED_APP = Current(
    admin_tokens=(ADMIN.setting, EXPIRED.setting), read_tokens=(READ.setting,), gap_report=True, cors_origins=("*",)
)
OPEN_API = schemathesis.openapi.from_asgi("/openapi.json", OPEN_APP)
# Tokens are this module's own affair.
CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
CLOSED_API = schemathesis.openapi.from_asgi("/openapi.json", CLOSED_APP, config=CONFIG)
ADMIN_API = CLOSED_API.include(path_regex="^/v1/admin/").exclude(operation_id=sorted(SLOW))
SLOW_API = CLOSED_API.include(operation_id=sorted(SLOW))
READ_API = CLOSED_API.exclude(path_regex="^/v1/admin/")


@pytest.fixture(scope="module")
def open_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve the tiny library to everybody."""
    with tiny_client(tmp_path_factory.mktemp("open")) as client:
        OPEN_APP.app = client.app
        yield client


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Serve a throw-away library with every route there is, behind tokens; a build waits and does nothing."""
    folder = tmp_path_factory.mktemp("closed")
    book = JobBook(folder / "index")
    record, lock = book.begin({})
    book.change(record, state="succeeded", report={"added": ["methadone.md"]})
    os.close(lock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builds, "_spawn", waiting_process)
        with admin_client(folder, gap_report=True, cors_origins=("*",)) as client:
            CLOSED_APP.app = client.app
            yield folder / "corpus"


def hold(case: schemathesis.Case, headers: dict[str, str]) -> int:
    """Send a generated request and hold the response against the document; return its status."""
    response = case.call(headers=headers)
    case.validate_response(response, checks=CHECKS, headers=headers)
    return int(response.status_code)


def hold_for_what_is_there(case: schemathesis.Case, headers: dict[str, str]) -> None:
    """Send it again for a document, passage or build that exists: generated names lead nowhere."""
    client = TestClient(case.operation.schema.app, headers=headers)
    name = next(iter(case.path_parameters), "")
    listed = {
        "document_id": lambda: client.get("/v1/documents").json()["documents"],
        "passage_id": lambda: client.post("/v1/ask", json={"question": "methadone"}).json()["passages"],
        "build_id": lambda: client.get("/v1/admin/builds").json()["builds"][-1:],
    }
    if name in listed:
        found = listed[name]()
        assert found, f"there is nothing to ask {case.operation.label} for"
        case.path_parameters[name] = "methadone.md" if "/admin/documents" in case.path else found[0]["id"]
        response = case.call(headers=headers)
        assert response.status_code != 404, response.text
        # What was wrong with the name is right now, so only the response is looked at. A stream of events is text to
        # OpenAPI 3.1, while schemathesis holds each event as an object against its schema.
        is_stream = "text/event-stream" in str(response.headers.get("content-type"))
        checks = [check for check in CONFORMS if not (is_stream and check is response_schema_conformance)]
        case.validate_response(response, checks=checks, headers=headers)


@OPEN_API.parametrize()
@ASKED
def test_open_service(case: schemathesis.Case, open_client: TestClient) -> None:
    """This ensures that generated requests, good and bad, meet only documented statuses, types, headers and shapes."""
    hold(case, {})
    hold_for_what_is_there(case, {})


@READ_API.parametrize()
@ASKED
def test_service_with_a_token_for_reading(case: schemathesis.Case, corpus: Path) -> None:
    """This ensures the same behind a token."""
    assert hold(case, bearer(READ.token)) not in (401, 403)


@ADMIN_API.parametrize()
@ASKED
def test_admin_routes(case: schemathesis.Case, corpus: Path) -> None:
    """This ensures the same for administering, for what is not there and for what is."""
    assert hold(case, bearer(ADMIN.token)) not in (401, 403)
    write_corpus(corpus)  # what was deleted is there again
    hold_for_what_is_there(case, bearer(ADMIN.token))


@SLOW_API.parametrize()
@ASKED_SLOWLY
def test_uploads_and_builds(case: schemathesis.Case, corpus: Path) -> None:
    """This ensures the same for what starts processes; the library stays within its folder."""
    assert hold(case, bearer(ADMIN.token)) not in (401, 403)
    assert {path.name for path in corpus.parent.iterdir()} == {"corpus", "index"}


@pytest.mark.parametrize("name", sorted(BAD_TOKENS))
@CLOSED_API.exclude(operation_id=sorted(OPEN)).parametrize()
@settings(ASKED, max_examples=2)
def test_without_a_token_that_is_taken(case: schemathesis.Case, corpus: Path, name: str) -> None:
    """This ensures that no operation does or tells anything for no, a wrong, an old or an absurd token."""
    before = sorted(path.name for path in corpus.rglob("*"))

    status = hold(case, BAD_TOKENS[name])

    assert status in (401, 404, 405), name
    assert sorted(path.name for path in corpus.rglob("*")) == before


@CLOSED_API.include(path_regex="^/v1/admin/").parametrize()
@settings(ASKED, max_examples=2)
def test_admin_routes_with_a_token_for_reading(case: schemathesis.Case, corpus: Path) -> None:
    """This ensures that whoever may read may not administer, and is told so as documented."""
    assert hold(case, bearer(READ.token)) in (403, 404, 405)

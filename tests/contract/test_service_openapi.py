"""The OpenAPI document, and the service held against it by generated requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from unittest import SkipTest

import pytest
import schemathesis
from admin_support import ADMIN, admin_client, bearer, waiting_process
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from service_support import tiny_client
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from service import builds

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve the tiny library to all tests of the module."""
    with tiny_client(tmp_path_factory.mktemp("served")) as client:
        yield client


def _without_lifespan(app: ASGIApp) -> ASGIApp:
    """Return the running application for a caller that would start it, and stop it, around every request."""

    async def running(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})

    return running


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(
    "operation_id",
    [
        "ask",
        "list_documents",
        "get_document",
        "get_document_text",
        "get_passage",
        "get_health",
        "get_health_live",
        "get_health_ready",
    ],
)
def test_service_keeps_to_its_document(client: TestClient, operation_id: str, mode: GenerationMode) -> None:
    """This ensures that generated requests, good and bad, meet only documented statuses, types and shapes."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", _without_lifespan(client.app))
    operation = schema.find_operation_by_id(operation_id)

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case) -> None:
        response = case.call()
        case.validate_response(response, checks=CHECKS)

    try:
        check()
    except (Unsatisfiable, SkipTest):
        pytest.skip("this operation takes nothing that could be wrong")


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve the admin routes to all tests of the module; a build waits and does nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builds, "_spawn", waiting_process)
        with admin_client(tmp_path_factory.mktemp("admin")) as client:
            yield client


ADMIN_OPERATIONS = (
    "list_documents",
    "put_document",
    "delete_document",
    "start_build",
    "list_builds",
    "get_build",
    "cancel_build",
    "follow_build",
    "list_snapshots",
    "rollback",
)


@pytest.mark.parametrize("has_token", [True, False], ids=["token", "no token"])
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("name", ADMIN_OPERATIONS)
def test_admin_routes_keep_to_the_document(admin: TestClient, name: str, mode: GenerationMode, has_token: bool) -> None:
    """This ensures that admin routes answer generated requests as documented, with a token and without."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", _without_lifespan(admin.app))
    operation = schema.find_operation_by_id(f"admin_{name}")
    # Each upload that gets as far as its reader costs a process.
    examples = 10 if name == "put_document" else 25

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: schemathesis.Case) -> None:
        case.headers.pop("Authorization", None)
        if has_token:
            case.headers.update(bearer(ADMIN.token))
        response = case.call()
        assert has_token or response.status_code in (401, 404, 405)
        case.validate_response(response, checks=CHECKS)

    try:
        check()
    except (Unsatisfiable, SkipTest):
        pytest.skip("this operation takes nothing that could be wrong")


def test_admin_document_is_complete(admin: TestClient) -> None:
    """This ensures that every admin operation has a summary, a description and an example for each of its bodies."""
    document = admin.get("/openapi.json").json()
    operations = [
        (path, operation)
        for path, found in document["paths"].items()
        for operation in found.values()
        if path.startswith("/v1/admin/")
    ]

    assert {operation["operationId"] for _, operation in operations} == {f"admin_{name}" for name in ADMIN_OPERATIONS}
    for path, operation in operations:
        assert operation["summary"]
        assert operation["description"]
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                named = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                shown = document["components"]["schemas"].get(named, {})
                assert content.get("examples") or content.get("example") or shown.get("examples"), (path, status)
                assert media_type == "application/problem+json" or int(status) < 400


def test_document_is_complete(client: TestClient) -> None:
    """This ensures that every operation has a summary and an example for each of its bodies, errors included."""
    document = client.get("/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        assert path.startswith("/v1/")
        for operation in operations.values():
            assert operation["summary"]
            assert operation["description"]
            for status, response in operation["responses"].items():
                for media_type, content in response.get("content", {}).items():
                    named = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                    shown = document["components"]["schemas"].get(named, {})
                    has_example = content.get("examples") or content.get("example") or shown.get("examples")
                    assert has_example, (path, status, media_type)


def test_references_lead_somewhere(client: TestClient) -> None:
    """This ensures that every $ref of the document is in it, and nothing of the framework's own errors is left."""
    text = client.get("/openapi.json").text
    names = set(json.loads(text)["components"]["schemas"])
    used = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert used <= names
    assert not any("ValidationError" in name for name in names)


def test_bounds_of_the_operator_are_in_the_document(tmp_path: Path) -> None:
    """This ensures that a client reads the real limits of question and top_k."""
    with tiny_client(tmp_path, max_top_k=7, max_question_chars=99) as client:
        fields = client.get("/openapi.json").json()["components"]["schemas"]["AskRequest"]["properties"]

    assert (fields["top_k"]["maximum"], fields["question"]["maxLength"]) == (7, 99)


def test_pages_that_load_scripts_of_others_are_off(client: TestClient) -> None:
    """This ensures that the framework's own documentation pages, which load from a third party, are not served."""
    assert [client.get(path).status_code for path in ("/docs", "/redoc", "/docs/oauth2-redirect")] == [404] * 3

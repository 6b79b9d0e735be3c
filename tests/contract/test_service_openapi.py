"""The OpenAPI document: complete, in itself whole, and with the operator's bounds; `test_schemathesis.py` tries it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_support import admin_client, waiting_process
from service_support import tiny_client
from starlette.testclient import TestClient

from service import builds


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve the tiny library to all tests of the module."""
    with tiny_client(tmp_path_factory.mktemp("served")) as client:
        yield client


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve the admin routes to all tests of the module; a build waits and does nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builds, "_spawn", waiting_process)
        with admin_client(tmp_path_factory.mktemp("admin"), gap_report=True) as client:
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
GAPS = "get_gaps"


def test_admin_document_is_complete(admin: TestClient) -> None:
    """This ensures that every admin operation has a summary, a description and an example for each of its bodies."""
    document = admin.get("/openapi.json").json()
    operations = [
        (path, operation)
        for path, found in document["paths"].items()
        for operation in found.values()
        if path.startswith("/v1/admin/")
    ]

    assert {operation["operationId"] for _, operation in operations} == {
        GAPS,
        *(f"admin_{name}" for name in ADMIN_OPERATIONS),
    }
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

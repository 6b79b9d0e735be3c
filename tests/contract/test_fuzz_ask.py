"""`POST /v1/ask` and the page's form under arbitrary bodies: never a 500, every response as documented."""

from __future__ import annotations

import json
from collections.abc import Iterator

import fuzz_support as fuzz
import pytest
from admin_support import ADMIN
from hypothesis import example, given
from hypothesis import strategies as st
from service_support import PROBLEM_MEMBERS, tiny_client
from starlette.testclient import TestClient

from service.examples import ASK_REQUEST
from service.schemas import AskResponse

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}

# What pasted text holds: joiners, marks, other directions, private and unassigned characters, controls.
SOUP = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("\u200d\u200c\u202e\u2066\ufeff\u0301\u20e3\U000e0001\ue000\U0010ffff\x00\x1b\x7f\u2028İſß"),
        st.sampled_from(list("naloxone methadone withdrawal?!.;")),
    ),
    min_size=1,
    max_size=120,
)
VALUES = st.recursive(
    st.one_of(fuzz.odd_values(), st.integers(), st.floats(), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=12,
)
REQUEST = json.dumps({**ASK_REQUEST, "filters": {"source_type": ["news"], "published_after": "2015-01-01"}}).encode()
NEAR_MISSES = st.composite(lambda draw: fuzz.damage_json(draw, REQUEST))()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve the tiny library to all tests of the module."""
    with tiny_client(tmp_path_factory.mktemp("served"), gap_report=True, admin_tokens=(ADMIN.setting,)) as client:
        yield client


@pytest.fixture(scope="module")
def documented(client: TestClient) -> set[int]:
    """Return the statuses that the OpenAPI document gives for a question."""
    operation = client.get("/openapi.json").json()["paths"]["/v1/ask"]["post"]
    return {int(status) for status in operation["responses"]} - {500}


def assert_documented(client: TestClient, body: bytes, documented: set[int]) -> None:
    """Send a body; hold the response against the OpenAPI document, and its quotes against the documents' texts."""
    response = client.post("/v1/ask", content=body, headers=JSON)

    assert response.status_code in documented, response.text
    if response.status_code != 200:
        assert response.headers["content-type"] == "application/problem+json"
        assert set(response.json()) - {"notices"} == PROBLEM_MEMBERS
        return
    answer = AskResponse.model_validate_json(response.content)
    assert answer.answered == bool(answer.passages)
    for passage in (*answer.passages, *answer.nearest):
        text = client.get(f"/v1/documents/{passage.document.id}/text").text
        assert text[passage.start : passage.end] == passage.text
        assert "".join(segment.text for segment in passage.segments) == passage.text


@fuzz.examples(150)
@given(body=st.binary(max_size=300))
@example(body=b'{"question": "\\u0000"}')
def test_any_bytes(client: TestClient, documented: set[int], body: bytes) -> None:
    """This ensures that a body of any bytes is refused or answered as documented."""
    assert_documented(client, body, documented)


@fuzz.examples(150)
@given(value=VALUES)
def test_any_json(client: TestClient, documented: set[int], value: object) -> None:
    """This ensures the same for any JSON value."""
    assert_documented(client, json.dumps(value).encode(), documented)


@fuzz.examples(200)
@given(body=NEAR_MISSES)
def test_requests_that_are_nearly_right(client: TestClient, documented: set[int], body: bytes) -> None:
    """This ensures the same for a good request with one or a few values exchanged, which gets further in."""
    assert_documented(client, body, documented)


@fuzz.examples(200)
@given(question=SOUP)
def test_unicode_soup(client: TestClient, documented: set[int], question: str) -> None:
    """This ensures that text of any characters is answered with true quotes or found empty."""
    assert_documented(client, json.dumps({"question": question}).encode(), documented)


@fuzz.examples(100)
@given(question=SOUP, damage=st.binary(max_size=6))
def test_any_form(client: TestClient, question: str, damage: bytes) -> None:
    """This ensures that the page's form is answered or refused with the one shape, whatever is sent."""
    from urllib.parse import quote

    response = client.post("/", content=b"question=" + quote(question).encode() + damage, headers=FORM)

    assert response.status_code in {200, 422}
    if response.status_code == 422:
        assert set(response.json()) - {"notices"} == PROBLEM_MEMBERS

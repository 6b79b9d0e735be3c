"""The JSON shapes, their examples, and what is taken in."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError
from service_support import abstention_of, answer_of

from index.model import Filters
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import write_tiny_snapshot
from ingest.model import SourceType
from service import examples
from service.answer import Scores
from service.health_schemas import Health
from service.schemas import (
    AskRequest,
    AskResponse,
    DocumentPage,
    LibraryDocumentOut,
    PassageReply,
    _Model,
)


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (AskResponse, examples.ASK_RESPONSE),
        (AskResponse, examples.ABSTENTION),
        (LibraryDocumentOut, examples.DOCUMENT),
        (DocumentPage, examples.DOCUMENT_PAGE),
        (PassageReply, examples.PASSAGE),
        (Health, examples.HEALTH),
    ],
)
def test_example_is_what_the_schema_sends(model: type[BaseModel], example: dict[str, object]) -> None:
    """This ensures that the examples in the OpenAPI document have every member and no other."""
    parsed = model.model_validate_json(json.dumps(example))

    assert parsed.model_dump(mode="json") == example


def test_example_question_is_accepted() -> None:
    """This ensures that the example of a request is one."""
    assert AskRequest.model_validate_json(json.dumps(examples.ASK_REQUEST)).top_k == 5


def test_every_model_refuses_unknown_members() -> None:
    """This ensures that no schema takes or sends a member that it does not declare."""

    def below(kind: type[BaseModel]) -> set[type[BaseModel]]:
        return {kind}.union(*(below(k) for k in kind.__subclasses__()))

    for model in below(_Model):
        assert model.model_config.get("extra") == "forbid", model
        assert model.model_config.get("strict") is True, model


def test_answer_has_exactly_the_shape_of_the_design(tmp_path: Path) -> None:
    """This ensures that the reply's members are those that were promised, in that order."""
    index_dir = IndexDir(tmp_path)
    write_tiny_snapshot(index_dir)
    snapshot = open_snapshot(index_dir)

    sent = json.loads(AskResponse.from_answer(answer_of(snapshot)).model_dump_json())
    snapshot.close()

    passage = sent["passages"][0]
    assert list(sent) == [
        *("answered", "confidence", "reason", "passages", "nearest", "notices", "matched", "languages"),
        *("snapshot", "took_ms"),
    ]
    assert list(passage) == [
        *("id", "rank", "score", "text", "start", "end", "evidence", "segments", "heading_path", "pages"),
        *("document", "citation", "proof", "also_in", "answers"),
    ]
    assert passage["evidence"] == [{"start": 12, "end": 46}]
    assert [s["type"] for s in passage["citation"]["selectors"]] == ["TextQuoteSelector", "TextPositionSelector"]
    assert list(passage["citation"]) == ["text", "selectors", "link", "permalink"]
    assert list(passage["proof"]) == ["text_sha256", "source_sha256", "reader"]
    assert list(sent["snapshot"]) == ["id", "built_at"]
    assert passage["document"]["published"] == "2019-05-17"


def test_scores_are_sent_only_when_there_are_any(tmp_path: Path) -> None:
    """This ensures that `explain` adds a member and its absence leaves none behind."""
    index_dir = IndexDir(tmp_path)
    write_tiny_snapshot(index_dir)
    snapshot = open_snapshot(index_dir)
    answer = answer_of(snapshot)
    snapshot.close()
    explained = replace(answer.passages[0], scores=Scores(0.1, 0.2, 0.3, None, 0.4))

    sent = AskResponse.from_answer(replace(answer, passages=(explained,))).model_dump(mode="json")

    assert sent["passages"][0]["scores"]["lexical_score"] is None


def test_notice_is_sent_with_its_links(tmp_path: Path) -> None:
    """This ensures that an abstention carries notices and the nearest passages, apart from answers."""
    index_dir = IndexDir(tmp_path)
    write_tiny_snapshot(index_dir)
    snapshot = open_snapshot(index_dir)

    sent = AskResponse.from_answer(abstention_of(snapshot)).model_dump(mode="json")
    snapshot.close()

    assert (sent["passages"], len(sent["nearest"])) == ([], 1)
    assert sent["notices"][0]["links"] == [{"label": "Call", "href": "tel:112"}]
    assert sent["notices"][0]["verified_on"] == "2026-01-01"
    assert sent["notices"][0]["language"] == "en"
    assert sent["languages"] == []


def test_filters_reach_the_index() -> None:
    """This ensures that every filter of a request arrives under its own name."""
    request = AskRequest.model_validate_json(
        json.dumps(
            {
                "question": "x",
                "filters": {
                    "source_type": ["news"],
                    "tags": ["a"],
                    "audience": ["b"],
                    "publisher": ["c"],
                    "language": "en",
                    "published_after": "2015-01-01",
                    "published_before": "2016-01-01",
                },
            }
        )
    )

    assert request.filters.to_filters() == Filters(
        (SourceType.NEWS,), ("a",), ("b",), ("c",), "en", date(2015, 1, 1), date(2016, 1, 1)
    )


@pytest.mark.parametrize(
    "body",
    [
        {"question": "x", "top_k": "5"},
        {"question": "x", "top_k": 5.0},
        {"question": "x", "top_k": True},
        {"question": "x", "top_k": 0},
        {"question": ["x"]},
        {"question": None},
        {"question": "x", "explain": 1},
        {"question": "x", "filters": {"colour": ["red"]}},
        {"question": "x", "filters": {"published_after": "yesterday"}},
        {"question": "x", "filters": {"published_after": 1420070400}},
        {"question": "x", "filters": {"tags": ["y"] * 51}},
        {"question": "x", "filters": None},
        {},
    ],
)
def test_request_is_taken_strictly(body: dict[str, object]) -> None:
    """This ensures that nothing is converted, guessed or ignored in a request."""
    with pytest.raises(ValidationError):
        AskRequest.model_validate_json(json.dumps(body))

"""The one table of errors, and what an error may show."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from index.errors import SnapshotCorrupt
from ingest.errors import AppError, MalformedSource
from service.errors import RequestInvalid
from service.problems import RULES, frames_of, problem_from, request_invalid, rule_for


def _subclasses(kind: type[AppError]) -> Iterator[type[AppError]]:
    for below in kind.__subclasses__():
        if below.__module__.split(".")[0] in ("ingest", "index", "service"):
            yield below
            yield from _subclasses(below)


def test_every_error_has_a_rule() -> None:
    """This ensures that no error of the tree falls back to a rule that nobody chose for it."""
    for module in ("ingest.errors", "index.errors", "service.errors"):
        importlib.import_module(module)

    missing = [kind.__name__ for kind in _subclasses(AppError) if kind not in RULES]

    assert missing == []


def test_codes_are_unique() -> None:
    """This ensures that a code names one kind of error."""
    codes = [kind.code for kind in RULES]

    assert len(codes) == len(set(codes))


def test_rules_are_errors() -> None:
    """This ensures that each rule has an error's status, a title, and an exit code of failure or usage."""
    for kind, rule in RULES.items():
        assert 400 <= rule.status < 600, kind
        assert rule.exit_code in (1, 2), kind
        assert rule.title, kind


def test_unlisted_subclass_takes_the_rule_of_its_base() -> None:
    """This ensures that an error added later is still shown, as its base would be."""

    class Odd(MalformedSource):
        """An error nobody listed."""

    assert rule_for(Odd("x", fix="y")) == RULES[MalformedSource]


def test_place_is_shown_only_for_what_the_client_can_mend() -> None:
    """This ensures that a server's paths stay in its log while a field's name is told."""
    of_client = problem_from(RequestInvalid("is missing", where="body", fix="send it"))
    of_server = problem_from(SnapshotCorrupt("a file changed", where="/srv/private/index", fix="build again"))

    assert of_client.detail == "body: is missing"
    assert of_server.detail == "a file changed"


def test_type_is_an_address_when_the_operator_documents_errors() -> None:
    """This ensures that a problem's type is a URN by itself and an address below the operator's page."""
    problem = problem_from(RequestInvalid("x", fix="y"))

    assert problem.as_json("id")["type"] == "urn:citewell:problem:request_invalid"
    assert problem.as_json("id", "https://d.example/e")["type"] == "https://d.example/e#request_invalid"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    top_k: int
    name: str


def test_finding_names_field_and_expectation_and_nothing_that_came_in() -> None:
    """This ensures that neither a wrong value nor an unknown field's name is repeated."""
    with pytest.raises(ValidationError) as caught:
        _Model.model_validate_json('{"top_k": "canary", "canary": "canary", "5551234": 1, "name": "x"}')

    error = request_invalid(caught.value.errors(), "body", ("top_k", "name"), "mend it")

    assert "top_k must be a whole number" in error.what
    assert "(unknown) there is no such field" in error.what
    assert "canary" not in str(error)
    assert "5551234" not in str(error)


def test_unknown_kind_of_finding_says_no_more_than_that_it_is_wrong() -> None:
    """This ensures that a kind of finding that the table does not know is not shown in the library's words."""
    error = request_invalid(
        [{"type": "brand_new", "loc": ("name",), "msg": "canary", "ctx": {}}], "body", ("name",), "x"
    )

    assert error.what == "name is not valid"


def test_frames_hold_no_text_of_the_exception() -> None:
    """This ensures that what is logged of a crash is where it happened."""
    try:
        raise ValueError("canary")
    except ValueError as error:
        frames = frames_of(error)

    assert frames[-1].startswith("unit/test_service_problems.py:")
    assert "canary" not in " ".join(frames)

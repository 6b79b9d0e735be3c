"""What of the Milvus engine needs no server: filters as numbers, rows, ties, errors and settings."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from index.errors import EngineMissing, SnapshotCorrupt
from index.milvus_client import MOST_TEXT_BYTES, Connection, MilvusServer
from index.milvus_config import INDEX_KINDS, efforts_for, parameters_for, search_parameters
from index.milvus_engine import OWNER_FILE, MilvusEngine
from index.milvus_filters import day_of, facets_of, where_ordinals, where_passes
from index.milvus_parts import levelled
from index.milvus_rows import evidence_rows, fitting
from index.model import Filters
from index.store import IndexDir
from ingest.model import Metadata, SourceType
from service.engines import index_dir_for
from service.settings import Settings


def test_an_expression_holds_numbers_alone() -> None:
    """This ensures that whatever a filter says is no part of what the server parses."""
    hostile = 'x"] or ordinal >= 0 or facets == ["'

    where = where_passes(
        Filters(
            tags=(hostile, "\ud800"),
            publisher=(hostile,),
            audience=(hostile,),
            language=hostile,
            source_type=(SourceType.NEWS,),
            published_after=date(2015, 1, 1),
            published_before=date(2016, 1, 1),
        )
    )

    words = set("".join(c if c.isalpha() or c == "_" else " " for c in where).split())
    assert words == {"array_contains_any", "facets", "and", "published"}


def test_facets_tell_kinds_apart() -> None:
    """This ensures that a tag is not found as an audience of the same name, and "e" not as a language."""
    document = facets_of(Metadata(title="x", tags=("families",), language="en-GB", source_type=SourceType.NEWS))

    def is_found(filters: Filters) -> bool:
        hashes = {int(n) for n in where_passes(filters).split("[")[1].split("]")[0].split(",")}
        return not hashes.isdisjoint(document)

    assert is_found(Filters(tags=("families",)))
    assert not is_found(Filters(audience=("families",)))
    assert is_found(Filters(language="EN"))
    assert is_found(Filters(language="en-gb"))
    assert not is_found(Filters(language="e"))
    assert all(0 <= facet < 2**63 for facet in document)


def test_no_restriction_is_no_expression() -> None:
    """This ensures that an unfiltered question is not slowed down by a condition that all passages meet."""
    assert where_passes(Filters()) == ""
    assert where_ordinals(np.array([3, 1])) == "ordinal in [3, 1]"
    assert (day_of(None), day_of(date(1, 1, 1))) == (0, 1)


def test_nearly_equal_scores_become_equal() -> None:
    """This ensures that rounding on the server's side never decides the order of equal passages."""
    scores = np.array([0.5, 0.9, 0.5000003, 0.9000001, 0.4], dtype=np.float32)

    found = levelled(scores)

    assert found[0] == found[2] == scores[2]
    assert found[1] == found[3] == scores[3]
    assert found[4] == scores[4]
    assert levelled(np.empty(0, np.float32)).size == 0


def test_words_that_are_too_long_are_cut_between_characters() -> None:
    """This ensures that a text over Milvus's bound does not stop a build: quotations come from the catalogue."""
    cut = fitting("é" * 40_000)

    assert len(cut.encode()) <= MOST_TEXT_BYTES
    assert cut == "é" * (MOST_TEXT_BYTES // 2)


def test_evidence_rows_are_numbered_by_passage() -> None:
    """This ensures that a row's number says which passage and which sentence it is."""
    vector, evidence = np.ones(2, np.float32), np.ones((3, 2), np.float32)

    assert [row["row"] for row in evidence_rows(2, vector, evidence)] == [8192, 8193, 8194, 8195]


@pytest.mark.parametrize("kind", INDEX_KINDS)
def test_parameters_fit_a_library_of_any_size(kind: str) -> None:
    """This ensures that no library is too small for the index that was chosen."""
    for n in (0, 1, 10, 10**9):
        parameters = parameters_for(kind, n)
        lists = parameters.get("params", {}).get("nlist", 10**9)
        efforts = efforts_for(kind, n)
        assert parameters["metric_type"] == "IP"
        assert lists >= 1
        assert list(efforts) == sorted(set(efforts))
        assert all(1 <= effort <= lists for effort in efforts)
        assert all(search_parameters(kind, effort) for effort in efforts)


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that whoever chose milvus without its extra is told the one command that helps."""
    monkeypatch.setitem(sys.modules, "pymilvus", None)

    with pytest.raises(EngineMissing) as error:
        MilvusServer(Connection("http://127.0.0.1:1")).names()

    assert "pip install 'citewell[milvus]'" in error.value.fix


def test_a_token_is_never_shown() -> None:
    """This ensures that neither a connection nor the settings give the token away when they are printed."""
    settings = Settings(engine="milvus", milvus_token="canary-token")

    assert "canary-token" not in repr(settings)
    assert "canary-token" not in repr(Connection("http://127.0.0.1:1", "canary-token"))


def test_the_engine_is_the_settings_alone(tmp_path: Path) -> None:
    """This ensures that nothing but a setting moves an index to Milvus, and that choosing it calls nobody."""
    assert index_dir_for(Settings(index_dir=tmp_path)).engine.name == "local"
    assert index_dir_for(Settings(index_dir=tmp_path, engine="milvus")).engine.name == "milvus"


@pytest.mark.parametrize(
    "uri", ["127.0.0.1:19530", "./milvus.db", "ftp://host", "http://user:pass@host", "http://host?x=1", "http://"]
)
def test_an_address_that_is_none_is_refused(uri: str) -> None:
    """This ensures that a file, a password in an address, or half an address is said before anything is called."""
    with pytest.raises(ValueError, match="milvus_uri"):
        Settings(milvus_uri=uri)


def test_a_call_must_end_before_the_request() -> None:
    """This ensures that the time limit of Milvus is one that can show."""
    with pytest.raises(ValueError, match="milvus_timeout_s"):
        Settings(engine="milvus", milvus_timeout_s=20.0)


@pytest.mark.parametrize("content", [b"", b"citewell\n", b"0123456789AB\n", b"\xff"])
def test_a_damaged_name_is_not_replaced(content: bytes, tmp_path: Path) -> None:
    """This ensures that an index whose name in Milvus is lost does not leave its collections behind in silence."""
    (tmp_path / OWNER_FILE).write_bytes(content)
    index_dir = IndexDir(tmp_path, engine=MilvusEngine(tmp_path, Connection("http://127.0.0.1:1")))

    with pytest.raises(SnapshotCorrupt, match="name by which Milvus knows"):
        index_dir.engine_leftovers()

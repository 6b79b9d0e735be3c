"""The promises on collections that are not ours to give; see "Measuring on other collections" in README."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from index.testing import HashingEmbedder
from ingest.library import open_library
from ingest.read import read_document
from ingest.split import SplitConfig, split_document

VARIABLE = "CITEWELL_EVAL_DATA"


@pytest.mark.parametrize("collection", ["articles", "medquad"])
def test_every_passage_stands_in_its_document(collection: str) -> None:
    """This ensures, on thousands of real documents, that each is read and that passages are verbatim and cover it."""
    place = os.environ.get(VARIABLE)
    if not place:
        pytest.skip(f"{VARIABLE} does not name a folder with data/{collection}")
    library = open_library(Path(place) / "data" / collection)
    assert not library.failures

    for file in library.files():
        document = read_document(library, file)
        position, covered = 0, []
        for passage in split_document(document, SplitConfig(), HashingEmbedder().count_tokens):
            assert document.text[passage.start : passage.end] == passage.text
            assert position <= passage.start
            position = passage.end
            covered.append((passage.start, passage.end))
        quotable = [b for b in document.blocks if b.is_quotable]
        assert all(any(s < b.end and b.start < e for s, e in covered) for b in quotable), document.id

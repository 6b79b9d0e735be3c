"""Real documents of every kind, damaged by structure: read soundly or refused, in bounded time and memory."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import fuzz_support as fuzz
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import count_words

from ingest.assemble import undo_repairs
from ingest.errors import SourceError
from ingest.library import open_library
from ingest.limits import Limits
from ingest.model import BlockKind
from ingest.read import read_document
from ingest.split import SplitConfig, split_document

CORPUS = Path(__file__).parents[2] / "corpus"
# Files of some kilobytes are read in milliseconds; the reader's own limit ends what loops.
LIMITS = Limits(max_seconds=10.0, max_unpacked_bytes=8_000_000)
MOST_SECONDS = 15.0
MOST_GROWTH_BYTES = 500_000_000

KINDS = {
    "pdf": (fuzz.damage_pdf, ["treatment/treatment-options.pdf", "evidence/naltrexone-trial-2016.pdf"], 60),
    "docx": (fuzz.damage_archive, ["treatment/talking-therapies.docx"], 40),
    "epub": (fuzz.damage_archive, ["community/older-adults.epub", "mind/trauma-and-dissociation.epub"], 60),
    "html": (fuzz.damage_markup, ["withdrawal/symptoms.html", "medicines/methadone.html"], 80),
    "md": (fuzz.damage_lines, ["medicines/naloxone.md", "mind/dual-diagnosis.md"], 80),
    "txt": (fuzz.damage_lines, ["body/heroin-in-the-body.txt"], 40),
}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_soundly_or_refused(kind: str, tmp_path: Path) -> None:
    """This ensures that whatever part of a real file is hit, it is quoted as it stands, or refused and named."""
    damage, names, n_examples = KINDS[kind]
    whole = [(CORPUS / name).read_bytes() for name in names]
    path = tmp_path / f"x.{kind}"
    before = peak_bytes()
    outcomes: set[str] = set()

    @st.composite
    def damaged(draw: st.DrawFn) -> bytes:
        data = draw(st.sampled_from(whole))
        for _ in range(draw(st.integers(1, 2))):
            data = damage(draw, data) or b"x"
        return data

    @fuzz.examples(n_examples)
    @given(damaged())
    def check(data: bytes) -> None:
        path.write_bytes(data)
        started = time.monotonic()
        outcomes.add(read_and_check(tmp_path))
        assert time.monotonic() - started < MOST_SECONDS

    check()

    # Damage that is refused always, or never, would prove little.
    assert "read" in outcomes
    assert "unhelpful" not in outcomes
    assert peak_bytes() - before < MOST_GROWTH_BYTES


def read_and_check(folder: Path) -> str:
    """Read the one file of a folder as a build does, and hold everything against the promises about documents."""
    library = open_library(folder, LIMITS)
    try:
        (file,) = library.files()
        document = read_document(library, file)
    except SourceError as error:
        return error.code if error.what and error.fix else "unhelpful"
    text = document.text
    text.encode("utf-8")
    assert "\x00" not in text
    undo_repairs(text, document.repairs).encode("utf-8")
    end = 0
    for block in document.blocks:
        assert end <= block.start < block.end <= len(text)
        end = block.end
    content = [b for b in document.blocks if not b.furniture and b.kind is not BlockKind.HEADING]
    for passage in split_document(document, SplitConfig(), count_words):
        assert text[passage.start : passage.end] == passage.text
        assert any(b.start < passage.end and passage.start < b.end for b in content)
        for start, end in passage.sentences:
            assert passage.start <= start < end <= passage.end
    return "read"


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("kind", KINDS)
def test_undamaged_files_are_read(kind: str, tmp_path: Path) -> None:
    """This ensures that the files that are damaged above are sound before."""
    for name in KINDS[kind][1]:
        (tmp_path / f"x.{kind}").write_bytes((CORPUS / name).read_bytes())

        assert read_and_check(tmp_path) == "read"

"""The lexical index."""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import index.lexical as lexical_module
from index.errors import SnapshotCorrupt, StorageFailed
from index.lexical import STOP_WORDS, LexicalIndex, LexicalRow, analyze, write_lexical

ROWS = (
    LexicalRow(0, "Methadone", "What it is", "A long-acting opioid taken once a day."),
    LexicalRow(1, "Naloxone", "Use", "It reverses an overdose. Methadone does not."),
    LexicalRow(2, "Clinics", "Methadone clinics", "Open on Monday."),
    LexicalRow(3, "Ibuprofen", "Pain", "Nothing to do with the others."),
)


def build(folder: Path, rows: Sequence[LexicalRow], **options: int) -> LexicalIndex:
    write_lexical(folder, rows, **options)
    return LexicalIndex.open(folder)


@pytest.fixture
def lexical(tmp_path: Path) -> LexicalIndex:
    return build(tmp_path / "lexical", ROWS)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("How soon does the withdrawal start?", ["soon", "withdraw", "start"]),
        ("Running, runs, RUN", ["run", "run", "run"]),
        ("Café résumé naïve", ["cafe", "resum", "naiv"]),
        ("Cafe\u0301 re\u0301sume\u0301", ["cafe", "resum"]),
        ("nal\u00adoxone na\u200blox\u2060one", ["naloxon", "naloxon"]),
        ("ﬁrst", ["first"]),
        ("don't won’t addict's", ["addict"]),
        ("8mg/2mg 12-step", ["8mg", "2mg", "12", "step"]),
        ("not without no", ["not", "without", "no"]),
        ("Привет 日本語", ["привет", "日本語"]),
        ("", []),
        ("?!… 😀", []),
        ("a\ud800b\x00c", ["ab", "c"]),
        ("x" * 65, []),
    ],
)
def test_analysis(text: str, terms: list[str]) -> None:
    """This ensures that words are folded, stemmed and stopped alike in questions and passages, whatever the string."""
    assert analyze(text) == terms


def test_stop_words_are_single_words_as_the_tokenizer_gives_them() -> None:
    """This ensures that every stop word can take effect."""
    assert all(word.isalpha() and word.islower() for word in STOP_WORDS)


def test_title_and_headings_weigh_more_than_text(lexical: LexicalIndex) -> None:
    """This ensures that passages about a subject come before those that mention it."""
    ordinals, scores = lexical.search("What is methadone?", 10)

    assert ordinals.tolist() == [0, 2, 1]
    assert ordinals.dtype == np.int64
    assert scores.dtype == np.float32
    assert (scores > 0).all()


@pytest.mark.parametrize("text", ["", "the of and", "zzzz", "?!", "\ud800"])
def test_texts_without_a_known_term_find_nothing(lexical: LexicalIndex, text: str) -> None:
    """This ensures that only passages holding a term are hits."""
    assert lexical.search(text, 10)[0].tolist() == []


@pytest.mark.parametrize("text", ["text:methadone", "(methadone", '"methadone', "methadone AND", "-methadone^9 ~"])
def test_nothing_in_a_question_is_syntax(lexical: LexicalIndex, text: str) -> None:
    """This ensures that what a query language would read as operators is read as words."""
    assert set(lexical.search(text, 10)[0].tolist()) >= {0, 1, 2}


def test_a_repeated_word_counts_as_often(lexical: LexicalIndex) -> None:
    """This ensures that a word said twice weighs twice, as in BM25."""
    _, once = lexical.search("overdose", 1)
    _, twice = lexical.search("overdose overdoses", 1)

    np.testing.assert_allclose(twice, 2 * once, rtol=1e-6)


@pytest.mark.parametrize("depth", [0, -5])
def test_asking_for_nothing_gives_nothing(lexical: LexicalIndex, depth: int) -> None:
    """This ensures that a depth of 0 or less is no error."""
    assert lexical.search("methadone", depth)[0].tolist() == []


def test_document_frequency_counts_passages_over_all_fields(lexical: LexicalIndex) -> None:
    """This ensures that a passage counts once, wherever it holds the term."""
    assert lexical.document_frequency([*analyze("methadone overdose clinics"), "zzzz", "\ud800"]) == [3, 1, 1, 0, 0]
    assert lexical.document_frequency([]) == []


def test_a_very_long_question_is_searched(lexical: LexicalIndex) -> None:
    """This ensures that a question of thousands of different words is no error."""
    text = " ".join(f"word{i}" for i in range(5_000)) + " naloxone"

    assert lexical.search(text, 3)[0].tolist() == [1]


def test_there_is_one_segment(tmp_path: Path) -> None:
    """This ensures that ties come in the order of ordinals at no cost."""
    lexical = build(tmp_path / "lexical", [LexicalRow(i, "same", "", "same") for i in range(2_000)])

    assert lexical._is_one_segment
    assert lexical.search("same", 50)[0].tolist() == list(range(50))


def test_ties_are_in_order_also_over_several_segments(tmp_path: Path) -> None:
    """This ensures that an index too large for one segment ranks as a small one does."""
    n = 4_000
    # Words that occur once fill the writer's memory soonest.
    rows = [LexicalRow(i, "t", "odd" if i % 2 else "", " ".join(f"w{i}x{j}" for j in range(60))) for i in range(n)]
    several = build(tmp_path / "several", rows, heap_bytes=15_000_000)
    allowed = np.random.default_rng(0).random(n) < 0.9
    expected = list(range(1, n, 2))

    assert several._searcher.num_segments > 1
    for depth in (1, 10, 150, n):
        assert several.search("odd", depth)[0].tolist() == expected[:depth]
        assert several.search("odd", depth, allowed)[0].tolist() == [i for i in expected if allowed[i]][:depth]


def test_many_threads_may_search_at_once(lexical: LexicalIndex) -> None:
    """This ensures that a searcher and the analysis can be shared."""
    expected = lexical.search("methadone overdose", 10)[0].tolist()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: lexical.search("methadone overdose", 10)[0].tolist(), range(400)))

    assert found == [expected] * 400


def test_an_index_of_nothing_can_be_searched(tmp_path: Path) -> None:
    """This ensures that a library without passages is no special case."""
    lexical = build(tmp_path / "lexical", [])

    assert lexical.n == 0
    assert lexical.search("methadone", 5)[0].tolist() == []
    assert lexical.document_frequency(["methadon"]) == [0]


def test_a_folder_that_can_not_be_written_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a snapshot on a read-only disk serves, though tantivy wants a lock file for reading."""
    write_lexical(tmp_path / "lexical", ROWS)
    plain = lexical_module._open_searcher

    def open_writable_only(folder: Path) -> object:
        if folder == tmp_path / "lexical":
            raise ValueError("Failed to acquire Lockfile: IoError(ReadOnlyFilesystem)")
        return plain(folder)

    monkeypatch.setattr(lexical_module, "_open_searcher", open_writable_only)

    lexical = LexicalIndex.open(tmp_path / "lexical")

    assert lexical.search("naloxone", 3)[0].tolist() == [1]


def test_an_open_index_outlives_its_folder(tmp_path: Path) -> None:
    """This ensures that a snapshot collected while in use goes on answering."""
    lexical = build(tmp_path / "lexical", ROWS)
    for file in (tmp_path / "lexical").iterdir():
        file.unlink()

    assert lexical.search("naloxone", 3)[0].tolist() == [1]


@pytest.mark.parametrize("damage", ["missing", "no meta.json", "broken meta.json", "segment cut"])
def test_damaged_indexes_are_refused(tmp_path: Path, damage: str) -> None:
    """This ensures that whatever tantivy raises becomes our error."""
    folder = tmp_path / "lexical"
    if damage != "missing":
        write_lexical(folder, ROWS)
    if damage == "no meta.json":
        (folder / "meta.json").unlink()
    if damage == "broken meta.json":
        (folder / "meta.json").write_text("{")
    if damage == "segment cut":
        for file in folder.glob("*.term"):
            file.write_bytes(file.read_bytes()[:10])

    with pytest.raises(SnapshotCorrupt, match="lexical index"):
        LexicalIndex.open(folder)


def test_a_folder_that_can_not_be_made_is_a_storage_error(tmp_path: Path) -> None:
    """This ensures that a build into a wrong place says so."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageFailed, match="Not a directory"):
        write_lexical(tmp_path / "file" / "lexical", ROWS)


def test_importing_makes_nothing() -> None:
    """This ensures that no analyzer or schema is made before it is needed."""
    code = "import index.lexical as l; print(l._analyzer.cache_info().currsize, l._schema.cache_info().currsize)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["0", "0"]

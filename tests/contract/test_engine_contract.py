"""What every engine promises of a library: building, changing, withdrawing, filtering, ranking, going back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from milvus_support import Milvus

from index.build import BuildConfig, BuildReport, build_index
from index.errors import BuildRefused, NoSnapshot
from index.forget import forget_document
from index.live import LiveSnapshot
from index.model import Filters
from index.search import Retrieval, plain_query, retrieve
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder
from index.verify import verify_snapshot
from ingest.model import SourceType

EMBEDDER = HashingEmbedder(32)
METHADONE = "# Methadone\n\nMethadone is taken once a day. A nurse looks on. It lasts for a day.\n"
NALOXONE = "# Naloxone\n\nNaloxone reverses an overdose. It wears off within an hour. Call an ambulance first.\n"
PAIN = "# Pain\n\nPain comes back when a dose is missed. Methadone helps against pain as well.\n"
SAME = "# Same\n\nThe clinic opens at nine and closes at noon on every day but Sunday.\n"
LIBRARY = """
[defaults]
language = "en"
[documents."methadone.md"]
source_type = "government"
published = 2015-03-01
publisher = "Ministry \\"of\\" Health, Ñ"
tags = ["treatment", "opioids"]
[documents."naloxone.md"]
source_type = "charity"
published = 2021-06-30
language = "en-GB"
audience = ["families"]
[documents."pain.md"]
tags = ["treatment"]
language = "es"
"""
Open = Callable[[Path], IndexDir]


@pytest.fixture(scope="module", params=["local", "milvus"])
def open_index(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Return what opens an index folder with the engine; a new object each time, as a new process would have."""
    if request.param == "local":
        yield IndexDir
        return
    server: Milvus = request.getfixturevalue("milvus")
    opened: list[IndexDir] = []

    def opening(path: Path) -> IndexDir:
        opened.append(server.index_dir(path))
        return opened[-1]

    yield opening
    for index_dir in opened:
        index_dir.engine.close()


def write_corpus(folder: Path) -> Path:
    folder.mkdir()
    texts = {"methadone.md": METHADONE, "naloxone.md": NALOXONE, "pain.md": PAIN}
    # Copies of one text: every score of theirs is a tie but for the title.
    texts |= {f"same-{n}.txt": SAME.removeprefix("# Same\n\n") for n in range(6)}
    for name, text in texts.items():
        (folder / name).write_text(text)
    same = "".join(f'[documents."same-{n}.txt"]\ntitle = "Same"\n' for n in range(6))
    (folder / "library.toml").write_text(LIBRARY + same)
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a library that a test may change."""
    return write_corpus(tmp_path / "corpus")


@pytest.fixture(scope="module")
def shared_index(open_index: Open, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index folder that tests only read, built once for each engine."""
    folder = tmp_path_factory.mktemp("shared")
    build(write_corpus(folder / "corpus"), open_index(folder / "index"))
    return folder / "index"


@pytest.fixture(scope="module")
def snapshot(open_index: Open, shared_index: Path) -> Iterator[Snapshot]:
    """Return the open snapshot of the shared index."""
    with open_snapshot(open_index(shared_index)) as opened:
        yield opened


def build(corpus: Path, index_dir: IndexDir, config: BuildConfig = BuildConfig()) -> BuildReport:
    return build_index(corpus, index_dir, EMBEDDER, config)


def ask(snapshot: Snapshot, question: str, filters: Filters = Filters()) -> Retrieval:
    return retrieve(snapshot, EMBEDDER, question, filters=filters)


def documents(snapshot: Snapshot, retrieval: Retrieval) -> list[str]:
    found = snapshot.catalogue.passages([hit.ordinal for hit in retrieval.hits])
    return [stored.document.id for stored in found]


def test_finds_what_the_words_and_the_vectors_say(snapshot: Snapshot) -> None:
    """This ensures that the passage that holds a question's words comes first, with scores between 0 and 1."""
    found = ask(snapshot, "what reverses an overdose")

    assert documents(snapshot, found)[0] == "naloxone.md"
    assert [hit.rank for hit in found.hits] == list(range(1, len(found.hits) + 1))
    assert all(0.0 <= hit.score <= 1.0 for hit in found.hits)
    assert found.coverage == 1.0


def test_scores_are_those_of_plain_arithmetic(snapshot: Snapshot) -> None:
    """This ensures that similarities are the inner products of the stored vectors, whichever index found a passage."""
    found = ask(snapshot, "pain")
    vector = EMBEDDER.encode_queries(["pain"])[0]
    ordinals = np.array([hit.ordinal for hit in found.hits])
    dense, evidence = snapshot.dense.vectors(ordinals), snapshot.evidence.vectors(ordinals)

    for hit, row, rows in zip(found.hits, dense, evidence, strict=True):
        assert hit.passage_similarity == pytest.approx(float(row @ vector), abs=1e-5)
        assert hit.text_similarity == pytest.approx(float(rows[0] @ vector), abs=1e-5)
        assert hit.sentence_similarity == pytest.approx(float((rows[1:] @ vector).max()), abs=1e-5)


def test_ties_come_in_the_order_of_ordinals(snapshot: Snapshot) -> None:
    """This ensures that equal passages have equal scores and a fixed order."""
    hits = [hit for hit in ask(snapshot, "when does the clinic open on Sunday").hits if hit.lexical_score]

    same = [hit for hit in hits if hit.score == hits[0].score]
    assert len(same) == 6
    assert [hit.ordinal for hit in same] == sorted(hit.ordinal for hit in same)


def test_the_same_again(open_index: Open, shared_index: Path) -> None:
    """This ensures that the same question gets the same answer from another process's objects too."""
    answers = []
    for _ in range(2):
        with open_snapshot(open_index(shared_index)) as snapshot:
            answers += [ask(snapshot, "methadone once a day"), ask(snapshot, "methadone once a day")]

    assert answers == [answers[0]] * 4


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(source_type=(SourceType.GOVERNMENT,)), {"methadone.md"}),
        (Filters(source_type=(SourceType.GOVERNMENT, SourceType.CHARITY)), {"methadone.md", "naloxone.md"}),
        (Filters(publisher=('Ministry "of" Health, Ñ',)), {"methadone.md"}),
        (Filters(tags=("treatment",)), {"methadone.md", "pain.md"}),
        (Filters(tags=("treatment",), source_type=(SourceType.GOVERNMENT,)), {"methadone.md"}),
        (Filters(audience=("families", "nobody")), {"naloxone.md"}),
        (Filters(language="EN-gb"), {"naloxone.md"}),
        (Filters(language="es"), {"pain.md"}),
        (Filters(language="e"), set()),
        (Filters(published_after=date(2015, 3, 1)), {"methadone.md", "naloxone.md"}),
        (Filters(published_after=date(2015, 3, 2)), {"naloxone.md"}),
        (Filters(published_before=date(2015, 3, 1)), {"methadone.md"}),
        (Filters(tags=('treatment"] or true or facets == ["',)), set()),
    ],
)
def test_filters_let_pass_what_they_name(snapshot: Snapshot, filters: Filters, expected: set[str]) -> None:
    """This ensures that passages of other documents are not found, and all of these are."""
    found = ask(snapshot, "methadone naloxone pain clinic day", filters)

    assert set(documents(snapshot, found)) == expected


def test_a_language_finds_its_regions(snapshot: Snapshot) -> None:
    """This ensures that "en" finds "en-GB" and not "es"."""
    found = set(documents(snapshot, ask(snapshot, "methadone naloxone pain day", Filters(language="en"))))

    assert {"methadone.md", "naloxone.md", "same-0.txt"} <= found
    assert "pain.md" not in found


def test_words_that_are_turned_down_lower_a_passage(snapshot: Snapshot) -> None:
    """This ensures that what a question does not want is scored among the candidates alone."""
    from dataclasses import replace

    query = plain_query("what helps against pain")
    wanted = retrieve(snapshot, EMBEDDER, query)
    without = retrieve(snapshot, EMBEDDER, replace(query, avoid=("methadon",)))

    before = {hit.ordinal: hit.score for hit in wanted.hits}
    lowered = {hit.ordinal for hit in without.hits if hit.score < before[hit.ordinal]}
    names = {stored.document.id for stored in snapshot.catalogue.passages(sorted(lowered))}

    assert "methadone.md" in names
    assert "naloxone.md" not in names


def test_a_question_of_unknown_words_has_dense_hits_alone(snapshot: Snapshot) -> None:
    """This ensures that terms that nothing holds break nothing and score nothing."""
    found = ask(snapshot, "xylophone qwertz")

    assert found.hits
    assert {hit.lexical_score for hit in found.hits} == {None}
    assert found.coverage == 0.0


def test_vocabulary_and_frequencies(snapshot: Snapshot) -> None:
    """This ensures that what spelling is repaired against, and what a term weighs, is the same for any engine."""
    words = snapshot.lexical

    assert words.document_frequency(["methadon", "clinic", "xylophon"]) == [2, 6, 0]
    assert words.vocabulary["overdos"] == 1
    assert words.ordinals().tolist() == list(range(words.n))


def test_adding_editing_and_withdrawing(open_index: Open, corpus: Path, tmp_path: Path) -> None:
    """This ensures that each build is what a build from nothing would be, and takes over what did not change."""
    index_dir = open_index(tmp_path / "index")
    build(corpus, index_dir)
    (corpus / "new.md").write_text("# New\n\nBuprenorphine is dissolved under the tongue. It takes minutes.\n")
    (corpus / "pain.md").write_text(PAIN.replace("Pain comes back", "Aches come back"))
    (corpus / "naloxone.md").unlink()

    report = build(corpus, index_dir)
    build(corpus, scratch := open_index(tmp_path / "other"))

    assert report.n_embedded == 2
    assert report.changes.removed == ("naloxone.md",)
    with open_snapshot(index_dir) as grown, open_snapshot(scratch) as fresh:
        assert grown.manifest.counts == fresh.manifest.counts
        for question in ("buprenorphine tongue", "aches and pain", "what reverses an overdose", "clinic Sunday"):
            assert ask(grown, question) == ask(fresh, question)
        assert "naloxone.md" not in documents(grown, ask(grown, "what reverses an overdose"))
        assert verify_snapshot(grown).problems == ()


def test_going_back_and_collecting(open_index: Open, corpus: Path, tmp_path: Path) -> None:
    """This ensures that an older snapshot answers as it did, until it is collected; then it is gone."""
    index_dir = open_index(tmp_path / "index")
    first = build(corpus, index_dir).snapshot_id
    with open_snapshot(index_dir) as snapshot:
        before = ask(snapshot, "what reverses an overdose")
    (corpus / "naloxone.md").unlink()
    second = build(corpus, index_dir).snapshot_id

    assert index_dir.rollback() == first
    with open_snapshot(index_dir) as snapshot:
        assert (snapshot.id, ask(snapshot, "what reverses an overdose")) == (first, before)
    index_dir.rollback(second)
    assert index_dir.collect(keep=1) == [first]
    with pytest.raises(NoSnapshot):
        open_snapshot(index_dir, first)


def test_a_gate_keeps_the_old_one(open_index: Open, corpus: Path, tmp_path: Path) -> None:
    """This ensures that a gate can ask the staged snapshot, and that what it refuses leaves nothing behind."""
    index_dir = open_index(tmp_path / "index")
    first = build(corpus, index_dir).snapshot_id
    (corpus / "new.md").write_text("# New\n\nBuprenorphine is dissolved under the tongue.\n")

    def refuse(snapshot: Snapshot) -> None:
        assert documents(snapshot, ask(snapshot, "buprenorphine under the tongue"))[0] == "new.md"
        raise BuildRefused("no", fix="none")

    with pytest.raises(BuildRefused):
        build(corpus, index_dir, BuildConfig(gate=refuse))

    assert index_dir.current_id() == first
    assert index_dir.engine_leftovers() == []
    with open_snapshot(index_dir) as snapshot:
        assert "new.md" not in documents(snapshot, ask(snapshot, "buprenorphine under the tongue"))


def test_forgetting_leaves_nothing(open_index: Open, corpus: Path, tmp_path: Path) -> None:
    """This ensures that a forgotten document is in no snapshot, live or older, and that the receipt says so."""
    index_dir = open_index(tmp_path / "index")
    build(corpus, index_dir)
    (corpus / "new.md").write_text("# New\n\nBuprenorphine is dissolved under the tongue.\n")
    build(corpus, index_dir)

    receipt = forget_document("naloxone.md", corpus, index_dir, lambda: EMBEDDER, with_file=True)

    assert receipt.residues == ()
    assert len(receipt.removed_snapshots) == 2
    assert len(index_dir.list_snapshots()) == 1
    with open_snapshot(index_dir) as snapshot:
        assert "naloxone.md" not in documents(snapshot, ask(snapshot, "what reverses an overdose"))


def test_asking_while_snapshots_change(open_index: Open, corpus: Path, tmp_path: Path) -> None:
    """This ensures that every answer given during builds and rollbacks is wholly of one snapshot."""
    index_dir = open_index(tmp_path / "index")
    build(corpus, index_dir)
    live = LiveSnapshot(open_index(tmp_path / "index"))
    assert live.refresh()
    answers: dict[str, set[tuple[tuple[int, float], ...]]] = {}
    failures: list[Exception] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                with live.use() as snapshot:
                    hits = ask(snapshot, "what reverses an overdose of methadone").hits
                    answers.setdefault(snapshot.id, set()).add(tuple((h.ordinal, h.score) for h in hits))
            except Exception as error:  # noqa: BLE001  whatever it is, the test tells
                failures.append(error)
                return

    threads = [threading.Thread(target=keep_asking) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for n in range(2):
            (corpus / f"a-{n}.md").write_text(f"# Extra {n}\n\nAn overdose of methadone is slow to show.\n")
            build(corpus, index_dir)
            live.refresh()
        index_dir.rollback()
        live.refresh()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        live.close()

    assert failures == []
    assert len(answers) >= 2
    assert all(len(found) == 1 for found in answers.values())

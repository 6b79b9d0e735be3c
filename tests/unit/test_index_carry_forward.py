"""Where ids lead after each kind of edit, one at a time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests_support import count_words

from index.carry_forward import write_carried
from index.errors import SnapshotCorrupt
from index.manifest import FORMAT_VERSION
from index.resolve_link import PassageState, Resolution, resolve_link
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import tiny_document, write_tiny_snapshot
from ingest.split import SplitConfig, passage_id, split_document

A = "Naloxone reverses an opioid overdose within minutes. It wears off before heroin does. Call for help first."
A_EDITED = (
    "Naloxone reverses an opioid overdose within minutes. It wears off sooner than heroin does. Call for help first."
)
A_AGAIN = (
    "Naloxone reverses an opioid overdose within minutes. It wears off sooner than heroin does. Call for help at once."
)
B = "Methadone is taken once a day under supervision. The dose is raised slowly over some weeks."
C = "Support groups meet every evening in many towns. Families are welcome at most of them too."
OTHER = "Sterile needles can be had from exchanges everywhere. Nobody has to give a name for that."
CHANGED, MOVED, WITHDRAWN = PassageState.CHANGED, PassageState.MOVED, PassageState.WITHDRAWN

Publish = Callable[[dict[str, list[str]]], str]


@pytest.fixture
def index_dir(tmp_path: Path) -> IndexDir:
    return IndexDir(tmp_path / "index")


@pytest.fixture
def publish(index_dir: IndexDir) -> Publish:
    """Build a library given as paragraphs by document."""

    def build(library: dict[str, list[str]]) -> str:
        built = []
        for path, texts in library.items():
            document = tiny_document(path, "Title", {f"Part {n}": [text] for n, text in enumerate(texts)})
            built.append((document, split_document(document, SplitConfig(), count_words)))
        return write_tiny_snapshot(index_dir, tuple(built))

    return build


def follow(index_dir: IndexDir, document: str, text: str, nth: int = 1) -> tuple[str, str | None, str | None] | None:
    """Return what the id of a passage leads to: state, document, and the words there."""
    with open_snapshot(index_dir) as snapshot:
        found = resolve_link(snapshot, index_dir, passage_id(document, text, nth))
        if found is None:
            return None
        stored = snapshot.catalogue.passage_by_id(found.passage_id) if found.passage_id else None
        return found.state, found.document_id, stored.passage.text if stored else None


def test_same_words_in_another_document_are_moved(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that a passage carried into another document is found there by its words."""
    publish({"a.md": [A, B], "b.md": [C]})

    publish({"a.md": [B], "b.md": [C, A]})

    assert follow(index_dir, "a.md", A) == (MOVED, "b.md", A)
    assert follow(index_dir, "a.md", B) == ("same", "a.md", B)


def test_renamed_document_takes_its_links_along(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that a new name of a document moves its passages, and an edit made with it is a change in there."""
    publish({"a.md": [A, B, C]})

    publish({"z.md": [A_EDITED, B, C]})

    assert follow(index_dir, "a.md", B) == (MOVED, "z.md", B)
    assert follow(index_dir, "a.md", A) == (CHANGED, "z.md", A_EDITED)


def test_duplicates_keep_their_occurrence(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that the second of two equal passages leads to the second one, and to the only one left."""
    publish({"a.md": [A, B, A]})
    publish({"z.md": [A, B, A]})
    renamed = follow(index_dir, "a.md", A, nth=2)
    with open_snapshot(index_dir) as snapshot:
        second = resolve_link(snapshot, index_dir, passage_id("a.md", A, 2))

    publish({"z.md": [B, A]})

    assert renamed == (MOVED, "z.md", A)
    assert second is not None
    assert second.passage_id == passage_id("z.md", A, 2)
    assert follow(index_dir, "z.md", A, nth=2) == (MOVED, "z.md", A)


def test_edited_passage_leads_to_what_stands_there_now(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that an edit is labelled a change and names the passage that came of it."""
    publish({"a.md": [B, A, C]})

    publish({"a.md": [B, A_EDITED, C]})

    assert follow(index_dir, "a.md", A) == (CHANGED, "a.md", A_EDITED)


def test_rewritten_passage_has_no_successor(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that other words in the same place are not passed off as an edit."""
    publish({"a.md": [B, A, C]})

    publish({"a.md": [B, OTHER, C]})

    assert follow(index_dir, "a.md", A) == (CHANGED, "a.md", None)


def test_template_is_not_an_edit(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that a passage about another medicine in the same words never succeeds the one that was cited."""
    methadone = "Methadone is taken once a day. The usual dose of methadone is found in some weeks."
    codeine = "Codeine is taken every few hours. A usual dose of codeine lasts until the evening."
    publish({"a.md": [B, methadone, C]})

    publish({"a.md": [B, codeine, C]})

    assert follow(index_dir, "a.md", methadone) == (CHANGED, "a.md", None)


def test_two_claimants_leave_the_successor_open(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that where two new passages are as like, none is chosen."""
    one = "Take 5 mg of it in the morning with water."
    publish({"a.md": [B, one, C]})

    publish({"a.md": [B, one.replace("5", "6"), one.replace("5", "7"), C]})

    assert follow(index_dir, "a.md", one) == (CHANGED, "a.md", None)


def test_part_taken_out_is_withdrawn(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that a passage cut out of a document that stays is gone, not changed into its neighbour."""
    publish({"a.md": [B, A, C]})

    publish({"a.md": [B, C]})

    assert follow(index_dir, "a.md", A) == (WITHDRAWN, None, None)


def test_part_that_was_shortened_is_a_change(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that what is left of a passage is its successor."""
    publish({"a.md": [B, A, C]})

    publish({"a.md": [B, A.rsplit(". ", 1)[0] + ".", C]})

    assert follow(index_dir, "a.md", A) == (CHANGED, "a.md", A.rsplit(". ", 1)[0] + ".")


def test_withdrawn_document_comes_back(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that withdrawing shows in every link of a document, and that putting it back undoes that."""
    publish({"a.md": [A, B], "b.md": [C]})
    publish({"b.md": [C]})
    gone = follow(index_dir, "a.md", A)

    publish({"a.md": [A, B], "b.md": [C]})

    assert gone == (WITHDRAWN, None, None)
    assert follow(index_dir, "a.md", A) == ("same", "a.md", A)


def test_chain_of_edits_leads_to_its_end(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that a link of long ago leads to today's passage, also when no snapshot of then is kept."""
    publish({"a.md": [B, A, C]})
    publish({"a.md": [B, A_EDITED, C]})
    index_dir.collect(1)

    publish({"z.md": [B, A_AGAIN, C]})
    index_dir.collect(1)

    assert follow(index_dir, "a.md", A) == (CHANGED, "z.md", A_AGAIN)
    publish({"b.md": [OTHER]})
    assert follow(index_dir, "a.md", A) == (WITHDRAWN, None, None)


def test_words_that_come_back_are_the_same_words_again(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that a moved id and its twin stay tied while their words are gone, with no snapshot to look into."""
    publish({"a.md": [A, B, C]})
    publish({"z.md": [A, B, C]})
    index_dir.collect(1)
    publish({"z.md": [A_EDITED, B, C]})
    index_dir.collect(1)
    publish({"z.md": [A_AGAIN, B, C]})
    index_dir.collect(1)
    edited = follow(index_dir, "a.md", A)

    publish({"z.md": [A, B, C]})

    assert edited == (CHANGED, "z.md", A_AGAIN)
    assert follow(index_dir, "a.md", A) == (MOVED, "z.md", A)
    assert follow(index_dir, "z.md", A_EDITED) == (CHANGED, "z.md", A)


def test_copy_that_was_there_before_lends_its_words_only(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that a document that happens to hold the same words does not become the cited one's successor."""
    publish({"a.md": [A], "b.md": [B, A, C]})
    publish({"b.md": [B, A, C]})
    lent = follow(index_dir, "a.md", A)

    publish({"b.md": [B, A_EDITED, C]})

    assert lent == (MOVED, "b.md", A)
    assert follow(index_dir, "a.md", A) == (WITHDRAWN, None, None)
    assert follow(index_dir, "b.md", A) == (CHANGED, "b.md", A_EDITED)


def test_copy_made_while_the_passage_was_edited_is_no_successor(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that an edit is followed in its own document, though the words before it were copied elsewhere."""
    publish({"a.md": [B, A, C], "b.md": [OTHER]})
    publish({"a.md": [B, A_EDITED, C], "b.md": [OTHER]})
    index_dir.collect(1)

    publish({"a.md": [B, A_AGAIN, C], "b.md": [OTHER, A_EDITED]})

    assert follow(index_dir, "a.md", A) == (CHANGED, "a.md", A_AGAIN)
    assert follow(index_dir, "a.md", A_EDITED) == (MOVED, "b.md", A_EDITED)


def test_rollback_knows_what_was_issued_later(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that an older snapshot in use does not call unknown what a newer one published."""
    first = publish({"a.md": [A, B], "c.md": [C]})
    publish({"a.md": [A_EDITED, B], "z.md": [C], "new.md": [OTHER]})
    index_dir.rollback(first)

    assert follow(index_dir, "a.md", A_EDITED) == (CHANGED, "a.md", None)
    assert follow(index_dir, "z.md", C) == (MOVED, "c.md", C)
    assert follow(index_dir, "new.md", OTHER) == (WITHDRAWN, None, None)
    assert follow(index_dir, "never.md", OTHER) is None

    publish({"a.md": [A, B], "c.md": [C]})

    assert follow(index_dir, "a.md", A_EDITED) == (CHANGED, "a.md", A)
    assert follow(index_dir, "new.md", OTHER) == (WITHDRAWN, None, None)


def test_forgotten_document_keeps_nothing_but_that_it_is_gone(
    index_dir: IndexDir, publish: Publish, tmp_path: Path
) -> None:
    """This ensures that not even a copy elsewhere tells what a forgotten passage said."""
    publish({"a.md": [A], "b.md": [B, A]})
    shutil.copy(index_dir.snapshot_path(publish({"b.md": [B, A]})) / "catalogue.sqlite", tmp_path)

    write_carried(index_dir, tmp_path, forgotten={"a.md"})

    content = (tmp_path / "permalinks.sqlite").read_bytes()
    assert bytes.fromhex(passage_id("a.md", A, 1)) in content
    assert bytes.fromhex(passage_id("b.md", A, 1)) not in content


def test_damaged_snapshot_is_a_warning(index_dir: IndexDir, publish: Publish, tmp_path: Path) -> None:
    """This ensures that history which can't be read is said, and that older snapshots still tell what they know."""
    publish({"a.md": [A], "b.md": [B]})
    damaged = publish({"b.md": [B, C]})
    (index_dir.snapshot_path(damaged) / "catalogue.sqlite").write_bytes(b"nothing")
    staged = tmp_path / "staged"
    staged.mkdir()
    shutil.copy(index_dir.snapshot_path(index_dir.list_snapshots()[1].id) / "catalogue.sqlite", staged)

    warnings = write_carried(index_dir, staged)

    assert len(warnings) == 1
    assert damaged in warnings[0]


def test_day_of_withdrawal_stays(index_dir: IndexDir, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a link tells when its passage went, however often the index is built afterwards."""

    def found() -> Resolution | None:
        with open_snapshot(index_dir) as snapshot:
            return resolve_link(snapshot, index_dir, passage_id("a.md", A, 1))

    publish({"a.md": [A], "b.md": [B]})
    publish({"b.md": [B]})
    first = found()
    monkeypatch.setattr("index.carry_forward.today_utc", lambda: first.since.replace(year=first.since.year + 1))

    publish({"b.md": [B, C]})

    assert found() == first


def test_snapshots_of_the_format_before_count_as_history(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that upgrading loses no link that a kept snapshot of format 1 can still tell."""
    old = index_dir.snapshot_path(publish({"a.md": [B, A, C]}))
    manifest = (old / "manifest.json").read_text()
    (old / "permalinks.sqlite").unlink()
    start = manifest.index('    "permalinks.sqlite"')
    end = manifest.index("}", start) + 1
    manifest = (manifest[:start].rstrip().rstrip(",") + manifest[end:]).replace(
        f'"format_version": {FORMAT_VERSION}', '"format_version": 1'
    )
    (old / "manifest.json").write_text(manifest)
    with open_snapshot(index_dir) as snapshot:
        assert list(snapshot.permalinks) == []

    publish({"a.md": [B, A_EDITED, C]})

    assert follow(index_dir, "a.md", A) == (CHANGED, "a.md", A_EDITED)


def test_missing_permalinks_are_damage(index_dir: IndexDir, publish: Publish) -> None:
    """This ensures that a snapshot of the present format without its links is refused."""
    path = index_dir.snapshot_path(publish({"a.md": [A]}))
    (path / "permalinks.sqlite").unlink()

    with pytest.raises(SnapshotCorrupt, match="missing"):
        open_snapshot(index_dir)

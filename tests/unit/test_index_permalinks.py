"""The file of retired ids."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import date
from pathlib import Path

import pytest

from index.errors import SnapshotCorrupt, StorageFailed
from index.permalinks import LinkState, Permalink, Permalinks, write_permalinks

DAY = date(2026, 11, 22)
ONE, TWO, THREE = ("0123456789abcdef0123", "ffffffffffffffffffff", "00000000000000000000")
LINKS = [
    Permalink(ONE, LinkState.MOVED, DAY, 3, TWO),
    Permalink(TWO, LinkState.WITHDRAWN, date(2031, 2, 1), same_words_as=THREE),
    Permalink(THREE, LinkState.CHANGED, DAY, 0, None),
]


def some_id(n: int) -> str:
    return hashlib.sha256(str(n).encode()).hexdigest()[:20]


def test_links_come_back_as_written(tmp_path: Path) -> None:
    """This ensures that every state, day and partner is kept, in the order of ids."""
    write_permalinks(tmp_path / "p", LINKS)

    links = Permalinks.open(tmp_path / "p")

    assert list(links) == sorted(LINKS, key=lambda link: link.id)
    assert [links.find(link.id) for link in LINKS] == LINKS
    assert links.n == 3


@pytest.mark.parametrize("odd", ["", "0123", ONE.upper(), ONE + "00", "zz" * 10, "\ud800" * 20, "٣" * 20, ONE + "\n"])
def test_what_is_no_id_is_not_found(tmp_path: Path, odd: str) -> None:
    """This ensures that whatever stands in an address is looked up without harm."""
    write_permalinks(tmp_path / "p", LINKS)

    assert Permalinks.open(tmp_path / "p").find(odd) is None


def test_equal_links_give_equal_bytes(tmp_path: Path) -> None:
    """This ensures that the order in which links are found leaves no trace."""
    write_permalinks(tmp_path / "p", LINKS)
    write_permalinks(tmp_path / "q", reversed(LINKS))

    assert (tmp_path / "p").read_bytes() == (tmp_path / "q").read_bytes()


def test_a_retired_id_takes_few_bytes(tmp_path: Path) -> None:
    """This ensures that keeping every id for ever stays cheap: under 60 bytes each, whatever became of it."""
    n = 20_000
    changed = [Permalink(some_id(i), LinkState.CHANGED, DAY, i % 5_000, some_id(-i), some_id(i + n)) for i in range(n)]

    write_permalinks(tmp_path / "p", changed)

    assert (tmp_path / "p").stat().st_size / n < 60


@pytest.mark.parametrize(
    ("state", "document", "successor"),
    [
        (LinkState.MOVED, 1, None),
        (LinkState.CHANGED, None, None),
        (LinkState.WITHDRAWN, 1, None),
        (LinkState.WITHDRAWN, None, TWO),
    ],
)
def test_contradictions_are_refused(state: LinkState, document: int | None, successor: str | None) -> None:
    """This ensures that no link promises what its state does not hold."""
    with pytest.raises(ValueError, match="does not go with"):
        Permalink(ONE, state, DAY, document, successor)


def test_damage_is_named(tmp_path: Path) -> None:
    """This ensures that a file that is none, and a row that makes no sense, are errors that name the file."""
    (tmp_path / "none").write_bytes(b"this is no database at all, " * 40)
    write_permalinks(tmp_path / "p", LINKS)
    with sqlite3.connect(tmp_path / "p") as connection:
        connection.execute("UPDATE retired SET state = 9")
    links = Permalinks.open(tmp_path / "p")

    with pytest.raises(SnapshotCorrupt, match="permalinks"):
        Permalinks.open(tmp_path / "none")
    with pytest.raises(SnapshotCorrupt, match="permalinks"):
        Permalinks.open(tmp_path / "absent")
    with pytest.raises(SnapshotCorrupt, match="damaged"):
        links.find(ONE)


def test_a_place_that_can_not_be_written_is_a_storage_error(tmp_path: Path) -> None:
    """This ensures that a failing disk reaches the editor as advice."""
    with pytest.raises(StorageFailed):
        write_permalinks(tmp_path / "absent" / "p", LINKS)

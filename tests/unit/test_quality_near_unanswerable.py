"""Making unanswerable on-topic questions from sectioned documents."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

NAME = "citewell_near_unanswerable"
_spec = importlib.util.spec_from_file_location(NAME, Path(__file__).parents[1] / "quality" / "near_unanswerable.py")
assert _spec is not None
assert _spec.loader is not None
near: Any = importlib.util.module_from_spec(_spec)
sys.modules[NAME] = near
_spec.loader.exec_module(near)


def document(title: str, **sections: str) -> Any:
    """Return a document with these sections."""
    parts = "".join(f"## {heading.title()}\n\n{text}\n\n" for heading, text in sections.items())
    return near.read_sectioned(f"{title}.md", f'---\ntitle: "{title}"\n---\n\n# {title}\n\n{parts}')


def library() -> list[Any]:
    """Return documents of which half have a section on treatment."""
    having = [document(f"Fever {i}x", overview="It is hot.", treatment=f"Rest and water {i}.") for i in range(6)]
    lacking = [document(f"Rash {i}y", overview="It itches.", frequency="1 in 10.") for i in range(6)]
    return [*having, *lacking]


def test_each_side_draws_from_the_same_wordings() -> None:
    """This ensures that no wording tells answerable from unanswerable."""
    rows = near.make_questions(library(), n=54, seed=1)

    sides: dict[bool, list[str]] = {True: [], False: []}
    for row in rows:
        words = [
            w for w in row["question"].split() if w.strip("?.")[-1:] not in ("x", "y") and w not in ("Fever", "Rash")
        ]
        sides[bool(row["gold"])].append(" ".join(words))
    assert len(sides[True]) == len(sides[False]) > 0
    assert sorted(sides[True]) == sorted(sides[False])


def test_labels_are_the_sections_own_text() -> None:
    """This ensures that an answerable question points at the section on what it asks for."""
    documents = {d.path: d for d in library()}

    rows = near.make_questions(list(documents.values()), n=54, seed=1)

    golds = [(row["kind"], gold) for row in rows for gold in row["gold"]]
    assert golds
    for kind, gold in golds:
        text = documents[gold["document"]].text[gold["start"] : gold["end"]]
        assert ("Rest and water" if kind == "treatment" else "1 in 10") in text
        assert "##" not in text


@pytest.mark.parametrize("other", ["Rash", "Red rash 0y of the hand", "rash 0Y"])
def test_a_subject_that_another_document_covers_is_not_unanswerable(other: str) -> None:
    """This ensures that a document of the same, a shorter or a longer name keeps a question from being asked."""
    documents = [document("Rash 0y", overview="It itches.", outlook="Good."), document(other, treatment="Cream.")]
    documents += [document("Fever 1x", overview="It is hot.", treatment="Rest.")]

    asked = " ".join(row["question"] for row in near.make_questions([*documents, *library()[7:]], n=900, seed=0))

    assert not any(wording.format("Rash 0y") in asked for wording in near.ASPECTS["treatment"][2])


def test_strict_leaves_out_what_is_said_in_passing() -> None:
    """This ensures that a text with a word of the aspect is not called unanswerable on it."""
    passing = [document(f"Rash {i}y", overview="It is treated with cream.", frequency="1 in 10.") for i in range(4)]
    documents = [*library()[:6], *passing]

    loose = near.make_questions(documents, n=54, seed=0)
    strict = near.make_questions(documents, n=54, seed=0, strict=True)

    assert any(row["id"].startswith("near-treatment") for row in loose)
    assert not any(row["id"].startswith("near-treatment") for row in strict)


def test_without_data_it_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures that whoever has no such folder learns which variable names it, and nothing is written."""
    monkeypatch.delenv(near.VARIABLE, raising=False)

    assert near.main([str(tmp_path / "out.jsonl")]) == 2

    assert near.VARIABLE in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_folder_becomes_a_file_that_the_evaluation_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This ensures that the output is a file of labelled questions, the same for the same seed."""
    from service.questions import read_questions

    folder = tmp_path / "data"
    folder.mkdir()
    for found in library():
        (folder / found.path).write_text(found.text, "utf-8")
    monkeypatch.setenv(near.VARIABLE, str(folder))

    codes = [near.main([str(tmp_path / name), "--n", "54"]) for name in ("one.jsonl", "two.jsonl")]

    assert codes == [0, 0]
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    kinds = {q.kind for q in read_questions(tmp_path / "one.jsonl").questions}
    assert "unanswerable_near" in kinds
    assert json.loads((tmp_path / "one.jsonl").read_text().splitlines()[0])["gold"] == []

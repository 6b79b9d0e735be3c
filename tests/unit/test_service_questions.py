"""Reading labelled questions and placing quotes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from service.errors import QuestionsInvalid
from service.questions import Label, find_quote, read_questions

SECRET = "zebrafish lullaby"


def write(folder: Path, *lines: object) -> Path:
    """Write lines (values as JSON, texts as they are) and return the file."""
    path = folder / "questions.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    return path


def test_the_quote_form_is_read(tmp_path: Path) -> None:
    """This ensures that gold and also come as quotes, with "doc" meaning "document"."""
    row = {
        "id": "a",
        "question": "why?",
        "kind": "fact",
        "gold": [{"doc": "x.md", "quote": "one two"}],
        "also": [{"document": "y.md", "quote": "three"}],
        "note": "free text",
        "absent": ["x"],
    }

    question = read_questions(write(tmp_path, row)).questions[0]

    assert question.gold == (Label("x.md", "one two"),)
    assert question.also == (Label("y.md", "three"),)
    assert (question.id, question.kind, question.line, question.text) == ("a", "fact", 1, "why?")


def test_the_offset_form_is_read(tmp_path: Path) -> None:
    """This ensures that a line with document, start and end is one gold span, its kind the qtype."""
    row = {"id": "a", "question": "why?", "qtype": "causes", "document": "f/x.md", "start": 3, "end": 9}

    question = read_questions(write(tmp_path, row)).questions[0]

    assert question.gold == (Label("f/x.md", "", 3, 9),)
    assert question.kind == "causes"


def test_gold_may_hold_offsets(tmp_path: Path) -> None:
    """This ensures that both ways to label mix within a question."""
    gold = [{"document": "x.md", "start": 0, "end": 4}, {"document": "x.md", "quote": "q"}]

    question = read_questions(write(tmp_path, {"id": "a", "question": "why?", "gold": gold})).questions[0]

    assert question.gold == (Label("x.md", "", 0, 4), Label("x.md", "q"))


def test_names_are_made_up_where_missing(tmp_path: Path) -> None:
    """This ensures that a line without id and kind is named after its line, blank lines counted."""
    questions = read_questions(write(tmp_path, "", {"question": "why?", "gold": []})).questions

    assert [(q.id, q.kind, q.gold) for q in questions] == [("line 2", "unspecified", ())]


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    """This ensures that a report names the very bytes that were asked."""
    path = write(tmp_path, {"question": "why?", "gold": []})

    file = read_questions(path)

    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file.name == "questions.jsonl"


def test_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    """This ensures that a file saved by a Windows editor is read, and U+2028 ends no line."""
    path = tmp_path / "q.jsonl"
    path.write_bytes('\ufeff{"question": "a\u2028b", "gold": []}\r\n{"question": "c", "gold": []}\r\n'.encode())

    questions = read_questions(path).questions

    assert [q.text for q in questions] == ["a\u2028b", "c"]


@pytest.mark.parametrize(
    ("line", "place", "what"),
    [
        ("{", "line 2, column 2", "not JSON"),
        ("[1]", "line 2", "not a JSON object"),
        ("[" * 100_000, "line 2", "not JSON"),
        ({"id": "b", "gold": []}, "line 2, field question", "Field required"),
        ({"question": SECRET, "gold": [{"doc": "x"}]}, "line 2, field gold.0", 'either "quote" or both'),
        ({"question": SECRET, "gold": [{"quote": "x"}]}, "line 2, field gold.0.document", "Field required"),
        ({"question": SECRET, "gold": "x"}, "line 2, field gold", "valid list"),
        ({"question": SECRET, "gold": [], "also": [{"doc": "x", "quote": " "}]}, "field also.0", "quote is empty"),
        ({"question": SECRET}, "line 2, field document", "Field required"),
        ({"question": SECRET, "document": "x", "start": 4, "end": 4}, "line 2", "start 4 is not before end 4"),
        ({"question": SECRET, "document": "x", "start": 4}, "line 2", 'both "start" and "end"'),
        ({"question": SECRET, "document": "x", "start": "4", "end": 9}, "field start", "valid integer"),
        ({"question": SECRET, "document": "x", "start": -1, "end": 9}, "field start", "greater than or equal to 0"),
        ({"question": SECRET + "\ud800", "gold": []}, "line 2, field question", "unicode"),
        ({"question": SECRET, "kind": 3, "gold": []}, "line 2, field kind", "valid string"),
        ({"id": "first", "question": SECRET, "gold": []}, "line 2, field id", "already that of line 1"),
        (
            {"question": SECRET, "kind": "unanswerable_far", "gold": [{"doc": "x", "quote": "y"}]},
            "line 2, field gold",
            "nothing answers, and there are labels",
        ),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: object, place: str, what: str) -> None:
    """This ensures that the error names file, line and field, and never holds the question."""
    path = write(tmp_path, {"id": "first", "question": "why?", "gold": []}, line)

    with pytest.raises(QuestionsInvalid) as caught:
        read_questions(path)

    assert place in caught.value.where
    assert str(path) in caught.value.where
    assert what in caught.value.what
    assert caught.value.fix
    assert SECRET not in str(caught.value)


def test_the_cause_does_not_hold_the_question(tmp_path: Path) -> None:
    """This ensures that no chained error carries the line's text into a traceback."""
    path = write(tmp_path, '{"question": "' + SECRET)

    with pytest.raises(QuestionsInvalid) as caught:
        read_questions(path)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    """This ensures that a missing file, a folder, an empty file and one in another encoding are clear errors."""
    (tmp_path / "empty").write_text("\n \n")
    (tmp_path / "latin").write_bytes(b'{"question": "a", "gold": []}\n{"question": "caf\xe9", "gold": []}')
    found = {}

    for name in ("missing", ".", "empty", "latin"):
        with pytest.raises(QuestionsInvalid) as caught:
            read_questions(tmp_path / name)
        found[name] = (caught.value.what, caught.value.where)

    assert "No such file" in found["missing"][0]
    assert "directory" in found["."][0]
    assert found["empty"][0] == "holds no question"
    assert found["latin"] == ("not UTF-8", f"{tmp_path / 'latin'}, line 2")


def test_a_question_does_not_show_in_its_repr(tmp_path: Path) -> None:
    """This ensures that printing a labelled question, say in a traceback, does not print what was asked."""
    file = read_questions(write(tmp_path, {"question": SECRET, "gold": []}))

    assert SECRET not in repr(file)


def test_a_quote_is_found_exactly_at_all_places() -> None:
    """This ensures that equal sentences are all accepted."""
    assert find_quote("ab. ab. b", "ab.") == [(0, 3), (4, 7)]


def test_white_space_and_invisible_characters_do_not_matter() -> None:
    """This ensures that a quote from a source file is found in text with other spaces, offsets in that text."""
    text = "So: take\u00a0one\n  tab\u00adlet daily."

    assert find_quote(text, "one tablet\tdaily") == [(9, len(text) - 1)]


def test_a_quote_that_is_not_there_is_not_found() -> None:
    """This ensures that one different letter is enough to refuse a place."""
    assert find_quote("take one tablet", "take two tablets") == []

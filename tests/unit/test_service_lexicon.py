"""Names of the same thing: what an operator may write, and what is found in a question."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from service.errors import LexiconInvalid
from service.lexicon import SHOWN, NameKind, iter_words, open_lexicon, parse_lexicon, read_lexicon, words_of

SHIPPED = Path(__file__).parents[2] / "corpus" / "lexicon.toml"


def lexicon_text(*entries: str, rest: str = "") -> str:
    return "version = 1\nentries = [\n" + ",\n".join(entries) + f"\n]\n{rest}\n"


def entry(name: str, means: str, kind: str = "brand", more: str = "") -> str:
    return f'{{ name = "{name}", kind = "{kind}", means = "{means}", source = "a label"{more} }}'


def names_in(text: str, lexicon_toml: str) -> list[str]:
    return [m.entry.name for m in parse_lexicon(lexicon_toml).match([word for word, _, _ in iter_words(text)])]


def test_the_shipped_lexicon_is_sound_and_every_entry_has_a_source() -> None:
    """This ensures that what comes with Citewell passes its own lint and is large enough to be of use."""
    lexicon = read_lexicon(SHIPPED)

    assert len(lexicon.entries) >= 120
    assert all(e.source for e in lexicon.entries)
    assert {e.kind for e in lexicon.entries} == set(NameKind)


def test_no_shipped_meaning_is_itself_a_label() -> None:
    """This ensures that slang and labels lead to neutral words and never to each other."""
    lexicon = read_lexicon(SHIPPED)
    spoken = {words_of(e.name) for e in lexicon.entries if e.kind not in SHOWN and e.kind is not NameKind.CLASS}

    assert not [e.name for e in lexicon.entries if words_of(e.means) in spoken and e.kind is not NameKind.ABBREVIATION]


def test_the_longest_name_is_found_whatever_its_case() -> None:
    """This ensures that a name of several words wins over a part of it, and that spelling with a hyphen is the same."""
    text = lexicon_text(entry("naltrexone", "opioid antagonist", "class"), entry("XR-naltrexone", "monthly naltrexone"))

    assert names_in("is xr naltrexone like Naltrexone", text) == ["XR-naltrexone", "naltrexone"]


def test_a_name_that_is_also_a_word_is_found_only_as_written() -> None:
    """This ensures that "MAT" is a treatment and "mat" something on the floor."""
    text = lexicon_text(entry("MAT", "treatment with medicine", "abbreviation", ", exact_case = true"))

    assert (names_in("on MAT", text), names_in("on the mat", text)) == (["MAT"], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 1\nentries = [\n  { name = ]\n", "line 3"),
        ("entries = []", "version"),
        ("version = 2", "version"),
        ("version = 1\nextra = 1", "extra"),
        (lexicon_text(entry("A", "b", "nonsense")), "entry 1, kind"),
        (lexicon_text(entry("A", "b"), '{ name = "C", kind = "brand", means = "d" }'), "entry 2, source"),
        (lexicon_text(entry("A", "b", more=", colour = 1")), "colour"),
        (lexicon_text(entry("Norvitol", "b"), entry("norvitol", "c")), "line 4"),
        (lexicon_text(entry("A", "b"), entry("b", "c"), entry("c", "a")), "leads back"),
        (lexicon_text(entry("A", "a")), "leads back"),
        (lexicon_text(entry("A", "<script>alert(1)</script>")), "line 3"),
        (lexicon_text(entry("A", "b\\u0007")), "control character"),
        (lexicon_text(entry("A", "one two three four five six seven")), "1 to 6 words"),
        (lexicon_text(entry("...", "b")), "1 to 6 words"),
        (lexicon_text(rest='[shorthand]\n"a b" = "c"'), "not one word"),
        (lexicon_text(entry("naloxone", "naltrexone"), rest='distinct = [["naloxone", "naltrexone"]]'), "set apart"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_place(text: str, said: str) -> None:
    """This ensures that an operator learns what is wrong and where, before anybody is answered with it."""
    with pytest.raises(LexiconInvalid) as caught:
        parse_lexicon(text)

    assert said in str(caught.value)


def test_a_missing_file_is_no_lexicon_and_said(tmp_path: Path) -> None:
    """This ensures that Citewell works without a lexicon and that its health tells so."""
    lexicon, warnings = open_lexicon(tmp_path / "none.toml")

    assert lexicon is None
    assert "none.toml" in warnings[0]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"version = 1 # " + b"x" * 2_000_001])
def test_a_file_that_is_no_text_or_enormous_is_refused(tmp_path: Path, content: bytes) -> None:
    """This ensures that bytes that are no lexicon are an error and not a crash."""
    path = tmp_path / "lexicon.toml"
    path.write_bytes(content)

    with pytest.raises(LexiconInvalid, match="lexicon"):
        read_lexicon(path)


def test_look_alikes_are_things_of_their_own() -> None:
    """This ensures that every look-alike is a known name, and that those of one group are different things."""
    lexicon = read_lexicon(SHIPPED)
    groups = tomllib.loads(SHIPPED.read_text("utf-8"))["distinct"]

    assert sum(len(group) * (len(group) - 1) // 2 for group in groups) >= 40
    for name in ("naltrexone", "naloxone", "nalmefene"):
        assert lexicon.concepts[name] == name

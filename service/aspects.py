"""
What a question asks for (a dose, a duration, a cause ...) and whether a passage speaks of such a thing. Pure.

Each aspect has two patterns: how a question asks for it, and what a passage that answers it can't do without. They are
words of the language, not of any library; what is not asked in such words has no aspect, and then nothing is judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TIME = r"(?:second|minute|hour|day|night|week|month|year|decade)s?|hrs?|overnight|lifelong"
_NUMBER = (
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|dozen|hundreds?|thousands?|millions?|half|third|"
    r"quarter|most|few|many|rare|common|percent)\b"
)


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing that can be asked for; both patterns are searched without regard to case."""

    name: str
    asked: re.Pattern[str]
    said: re.Pattern[str]


def _aspect(name: str, asked: str, said: str) -> Aspect:
    # Each heading begins a line, as a question begins a message.
    return Aspect(name, re.compile(asked, re.IGNORECASE | re.MULTILINE), re.compile(said, re.IGNORECASE))


ASPECTS: tuple[Aspect, ...] = (
    _aspect(
        "dose",
        r"\bdos(?:e|es|age|ing)\b|\bhow (?:much|many) (?:mg|milligrams?|pills?|tablets?|drops)\b|\bmg\b",
        r"\d\s*(?:mg|mcg|ml|milligram|microgram)|\bdos(?:e|es|age|ing)\b|\btablets?\b",
    ),
    _aspect(
        "duration",
        r"\bhow (?:long|soon|fast|quick(?:ly)?|often)\b|\bhow many (?:hours|days|weeks|months|years|times)\b"
        r"|\bwhen (?:do|does|did|will|is|are|can)\b|\b(?:what|which) (?:day|time|week|year)\b",
        rf"\b(?:{_TIME}|immediate(?:ly)?|soon|before|after|daily|weekly|monthly|\d{{4}})\b",
    ),
    _aspect(
        "cost",
        r"\bcosts?\b|\bprices?\b|\bafford|\bpay(?:s|ing)?\b|\binsur|\bexpensive\b|\bcheap|\bfree of charge\b|\bfund",
        r"[$£€]\s*\d|\bcosts?\b|\bprices?\b|\bafford|\bpay(?:s|ing)?\b|\binsur|\bexpensive\b|\bfree\b|\bfund|\bmedicaid\b",
    ),
    _aspect(
        "side effect",
        r"\bside[- ]?effects?\b|\badverse\b|\bbad for (?:me|you)\b",
        r"\bside[- ]?effects?\b|\badverse\b|\breactions?\b|\bharm",
    ),
    _aspect(
        "count",
        r"\bhow many\b|\bhow common\b|\bwhat (?:percent|percentage|share|proportion)\b|\bhow (?:rare|likely|big)\b",
        _NUMBER,
    ),
    _aspect(
        "person",
        r"^\s*who\b|\bwhose\b|\bwho (?:is|are|was|were|did|wrote|should|can)\b",
        r"\b(?:people|persons?|patients?|doctors?|nurses?|researchers?|men|women|adults?|children|famil|Dr\b|author|who)",
    ),
    _aspect(
        "place",
        r"^\s*where (?:can|do|is|are|should|could)\b|\bnear me\b|\bnearest\b|\baddress\b",
        r"\b(?:clinics?|hospitals?|centers?|centres?|pharmac|offices?|program(?:me)?s?|websites?|directory|locator|call)",
    ),
    _aspect(
        "treatment",
        r"\btreat|\bcure|\btherap|\bmedic(?:ine|ation)s? (?:for|help|used)|\bget rid of\b",
        r"\btreat|\bcure|\btherap|\bmedic|\bsurg|\bdrugs?\b",
    ),
    _aspect(
        "outlook",
        r"\boutlook\b|\bprognosis\b|\bsurviv|\blife expectancy\b|\bget(?:ting)? better\b|\brecover(?:y|ed)? from\b",
        r"\boutlook\b|\bprognosis\b|\bsurviv|\blife expectancy\b|\bbetter\b|\brecover|\bprogress|\bdeath|\bfatal",
    ),
    _aspect(
        "prevention",
        r"\bprevent|\bavoid|\bprotect|\blower (?:the|my) risk",
        r"\bprevent|\bavoid|\bprotect|\brisk|\bvaccin",
    ),
    _aspect(
        "cause",
        r"\bcaus|\bwhy (?:do|does|did|is|are)\b|\bcome from\b|\bdue to\b|\breasons?\b",
        r"\bcaus|\bbecause\b|\bdue to\b|\bmutation|\bresult|\bleads? to\b|\breasons?\b|\btrigger|\bso that\b|\bwhy\b",
    ),
    _aspect(
        "symptom",
        r"\bsymptoms?\b|\bsigns? of\b|\bfeels? like\b|\bhow (?:do|can|would) (?:i|you|we) (?:know|tell)\b",
        r"\bsymptoms?\b|\bsigns?\b|\bfeel|\bpain|\bexperience",
    ),
    _aspect(
        "test",
        r"\btest(?:s|ed|ing)?\b|\bdiagnos|\bscreen(?:ing|ed)?\b|\bfind out (?:if|whether)\b",
        r"\btest|\bdiagnos|\bscreen|\bexam",
    ),
    _aspect(
        "inheritance",
        r"\binherit|\bgenetic|\bruns? in (?:the|my)? ?famil|\bhereditary\b",
        r"\binherit|\bgene|\bfamil|\bheredit|\bparents?\b",
    ),
    _aspect(
        "complication",
        r"\bcomplicat|\bgo wrong\b|\blong[- ]term effects?\b|\bdanger|\brisks?\b",
        r"\bcomplicat|\blead|\bdamage|\brisk|\bdanger|\bdeath|\bfail|\bharm",
    ),
    _aspect(
        "difference",
        r"\bdifference between\b|\bdiffer(?:s|ent)? from\b|\bcompared? (?:to|with)\b|\bversus\b|\bvs\b",
        r"\bdiffer|\bcompar|\bunlike\b|\bwhereas\b|\bwhile\b|\bthan\b",
    ),
    _aspect(
        "instruction",
        r"^\s*how (?:do|can|should|would) (?:i|you|we)\b|\bstep[- ]by[- ]step\b|\bhow to\b",
        r"\bstep|\bfirst\b|\bthen\b|\bcan\b|\bshould\b|\bmust\b|\btry\b|\bask\b|\bcall\b",
    ),
)


def asked_aspects(question: str) -> tuple[Aspect, ...]:
    """Return what a question asks for, in the order of ASPECTS; often nothing that is known here."""
    return tuple(aspect for aspect in ASPECTS if aspect.asked.search(question))


def is_said(aspect: Aspect, headings: str, text: str) -> bool:
    """
    Tell whether a passage speaks of such a thing at all; not whether it answers.

    Args:
        headings: title and headings, which may be the question itself: what stands under "Why relapse happens" speaks
            of causes, whatever words it uses.
        text: its words, and those that it is read with.
    """
    return aspect.asked.search(headings) is not None or aspect.said.search(f"{headings} {text}") is not None

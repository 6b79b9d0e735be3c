"""
Ways in which the same message is written differently: slips of the finger, no punctuation, slang, chatter around it.

Training and test share the kinds of change and none of the words that are put around a message; seeds differ.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_NEIGHBOURS = {
    "a": "qsz", "b": "vgn", "c": "xvd", "d": "sfe", "e": "wrd", "f": "dgr", "g": "fht", "h": "gju", "i": "uok",
    "j": "hkn", "k": "jli", "l": "ko", "m": "nj", "n": "bmh", "o": "ipl", "p": "o", "q": "wa", "r": "etf",
    "s": "adw", "t": "ryg", "u": "yij", "v": "cbf", "w": "qes", "x": "zcs", "y": "tuh", "z": "xa",
}  # fmt: skip
_WORDS = re.compile(r"\w+|\W+")
_THIRD = {"I'm": "she's", "im": "shes", "I've": "she's", "I am": "she is", "I have": "she has", "I": "she", "my": "her",
          "me": "her", "myself": "herself"}  # fmt: skip
_MARKS = re.compile(r"[^\w\s]")


@dataclass(frozen=True, slots=True)
class Frames:
    """What people write around the thing itself, by language."""

    before: dict[str, Sequence[str]]
    after: dict[str, Sequence[str]]
    slang: dict[str, str]


TRAIN = Frames(
    before={
        "en": (
            "please", "help", "hi", "hey so", "um", "ok so", "hello,", "quick question,", "i need to know,",
            "sorry to bother you but", "I don't know who to ask.", "can someone tell me",
            "this is embarrassing but", "not sure where to write this,", "I'm new here.", "so basically",
            "I've been on this site before and it helped me a lot.", "It's late and I'm sitting here reading.",
            "I'm asking for my family. We live out in the country, and the next town is far.",
            "My name is Sam and I'm 34. I work in a bakery and have two dogs.",
            "We had a normal day yesterday, went shopping and cooked together.",
        ),
        "es": ("por favor", "hola", "disculpe,", "una pregunta,", "no sé a quién preguntar,", "ayuda",
               "buenas noches, vivo en un pueblo y no conozco a nadie aquí.", "perdón por molestar, pero"),
    },
    after={
        "en": (
            "please", "thanks", "what do i do", "what should I do", "any advice", "what now", "thank you in advance",
            "please answer", "I'm in Ohio", "sorry for the long message", "is there anything I can do",
            "can you explain", "I'm using my phone so excuse the spelling.", "idk", "lol",
            "The weather is awful here and the roads are full of snow.", "Anyway, that's my question.",
        ),
        "es": ("por favor", "gracias", "qué hago", "¿qué puedo hacer?", "necesito saberlo", "saludos desde Lima"),
    },
    slang={
        "boyfriend": "bf", "girlfriend": "gf", "my friend": "my homie", "you": "u", "are": "r", "please": "pls",
        "because": "cuz", "don't": "dont", "can't": "cant", "breathing": "breathin", "going to": "gonna",
        "want to": "wanna", "pills": "beans", "heroin": "dope", "right now": "rn", "really": "rly", "mother": "moms",
        "husband": "hubby", "about": "bout", "something": "smth",
    },
)  # fmt: skip
TEST = Frames(
    before={
        "en": (
            "hiya,", "excuse me", "omg", "look,", "hope this is the right place,", "urgent question:", "guys",
            "I never post anywhere, but here goes.", "My phone is at nine percent so I'll be brief.",
            "I read half of your library this week and couldn't find it.", "Dear team,",
            "I moved to Leeds last autumn, my job is in a warehouse and I share a flat with four people.",
            "We had pizza and played cards until about eleven. The flat is quiet.",
        ),
        "es": ("buenas,", "oigan", "mire,", "no encuentro la respuesta en ninguna parte.",
               "trabajo de noche en un hotel y escribo desde el celular."),
    },
    after={
        "en": (
            "??", "asap", "cheers", "I would be grateful for a reply", "what's the next step", "tell me",
            "I don't have much battery left", "Best regards, Kim", "(sorry, English isn't my first language)",
            "The neighbours are asleep and the buses have stopped.",
        ),
        "es": ("urgente", "mil gracias", "díganme", "un saludo desde Sevilla", "no tengo mucha batería"),
    },
    slang={
        "boyfriend": "bae", "girlfriend": "missus", "friend": "m8", "you": "ya", "are": "r", "because": "bc",
        "don't": "dun", "can't": "cannot", "going to": "gunna", "want to": "wana", "pills": "pillz",
        "heroin": "smack", "now": "nw", "what": "wat", "husband": "hubs", "brother": "bro", "sister": "sis",
        "daughter": "dd", "with": "w/", "before": "b4", "for": "4",
    },
)  # fmt: skip


def _typos(text: str, dice: random.Random, rate: float = 0.12) -> str:
    """Return the text with a slip in about every eighth word of four letters and more."""
    parts = _WORDS.findall(text)
    for place, part in enumerate(parts):
        if len(part) >= 4 and part.isalpha() and dice.random() < rate * 2:
            parts[place] = _slip(part, dice)
    return "".join(parts)


def _slip(word: str, dice: random.Random) -> str:
    at = dice.randrange(1, len(word) - 1)
    kind = dice.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[:at] + word[at] + word[at:]
    return word[:at] + dice.choice(_NEIGHBOURS.get(word[at].lower(), "e")) + word[at + 1 :]


def perturb(text: str, language: str, frames: Frames, seed: str) -> dict[str, str]:
    """
    Return the message in changed forms, by the name of the change; the same for the same seed.

    Changes: typos, bare (lower case, no marks), shout, slang, third_person (somebody else speaks for them), framed
    (words before and after), rambling (a long
    chatty message around it), bare_typos (bare with slips).
    """
    dice = random.Random(f"{seed} {text}")
    bare = " ".join(_MARKS.sub("", text.replace("'", "").replace("’", "")).lower().split())
    before, after = frames.before[language], frames.after[language]
    pick: Callable[[Sequence[str]], str] = dice.choice
    slang = text
    for plain, short in frames.slang.items():
        slang = re.sub(rf"\b{re.escape(plain)}\b", short, slang, flags=re.IGNORECASE)
    other = text
    for first, third in _THIRD.items() if language == "en" else ():
        other = re.sub(rf"\b{first}\b", third, other, flags=re.IGNORECASE)
    start, end = sorted(before, key=len)[-3:], sorted(after, key=len)[-3:]
    changed = {
        "typos": _typos(text, dice),
        "bare": bare,
        "shout": text.upper(),
        "slang": slang,
        "framed": f"{pick(before)} {text} {pick(after)}",
        "third_person": other,
        "rambling": f"{pick(start)} {text.rstrip('.')}. {pick(end)}",
        "bare_typos": _typos(bare, dice, 0.2),
    }
    return {name: new for name, new in changed.items() if new != text}

"""
What a message as a whole tells about danger: its windows' log-odds pooled, and a few cues of time and of asking.

Pure arithmetic. A long message says many things, and its most dangerous window alone cries wolf: grief, a past overdose
or a treatment's history look dangerous by themselves. `service.danger` weighs these features by fitted weights.
"""

from __future__ import annotations

import re

import numpy as np

from index.model import Float32

FEATURES = (
    "most", "second", "whole", "mean", "text_most", "text_second", "text_whole", "text_mean", "vector_most",
    "vector_whole", "now", "past", "well", "informs", "ends_asking",
)  # fmt: skip
# Log-odds beyond it say no more: the two models are sure alike at 12 and at 30.
_SURE = 12.0
# Cues count up to here, so that a very long message is not judged by its length.
_MOST_CUES = 3
# All patterns are read against folded text: lower case, no marks, no accents, no apostrophes.
_NOW = re.compile(
    r"\b(?:right now|just now|now|tonight|this (?:morning|evening|afternoon|minute)|today|still (?:wont|isnt|not)"
    r"|(?:minutes?|mins?|an hour|hours?) ago|for (?:\w+ ){1,2}(?:minutes|mins|hours)|wont|keeps?|any minute|on his way"
    r"|ahora|ya no|hoy|esta (?:noche|manana|tarde)|anoche|acaba de|todavia|no (?:despierta|responde|reacciona))\b"
)
_PAST = re.compile(
    r"\b(?:years? (?:ago|back|later)|months? ago|weeks? ago|decades?|last (?:year|month|spring|summer|winter)"
    r"|used to|(?:in|since|from) (?:19|20)\d\d|back (?:in|then)|when i was (?!out)"
    r"|as a (?:kid|child|boy|girl|teenager|student)"
    r"|in my (?:teens|twenties|thirties)|long ago|ages ago|once|was (?:saved|revived)|died|passed away|funeral|buried"
    r"|hace (?:\w+ )?(?:anos?|meses)|en (?:19|20)\d\d|cuando (?:era|tenia)|de joven|murio|fallecio"
    r"|el (?:ano|mes) pasado)\b"
)
_WELL = re.compile(
    r"\b(?:(?:fine|well|ok|okay|better|steady|stable|alive|healthy|happy|safe) (?:now|since|again|these days|today)"
    r"|(?:is|hes|shes|im|was|were|been|doing) (?:fine|well|ok|okay|better|steady|stable|alive)|recovered|in recovery"
    r"|(?:clean|sober) (?:for|since|now)|(?:years|months|weeks|days) (?:clean|sober)|nobody was hurt"
    r"|nothing (?:happened|came)"
    r"|esta(?:mos|n)? (?:bien|vivo|viva|contento|contenta|estable)|estoy (?:bien|contento|contenta)|sin consumir)\b"
)
_INFORMS = re.compile(
    r"\b(?:research|stud(?:y|ies)|evidence|statistics?|figures|guidelines?|polic(?:y|ies)|training|course|leaflets?"
    r"|posters?|books?|scene|novel|film|play|script|chapter|thesis|exam|class|support group|groups?|therapy|law|rules?"
    r"|other (?:people|families|couples|parents)|others|usual|normal|usually|how do (?:people|others)"
    r"|is there (?:a|any|some)|are there|does that|estudios?|investigacion|taller|libro|grupos?|terapia|folleto)\b"
)
_ASKING = re.compile(
    r"^(?:so |and |but |or |also )?(?:what|why|how|when|where|who|whom|which|is|are|was|were|does|do|did|can|could|will"
    r"|would|should|has|have|any|que|por que|como|cuando|cuanto|cuantos|donde|quien|cual|hay|es|puedo|puede|sirve|se)\b"
)


def message_features(text: Float32, vector: Float32 | None, share: float, folded: str, last: str) -> Float32:
    """
    Return the features of one message, `float32[len(FEATURES)]`.

    Args:
        text: log-odds of danger by the text model, one a window, the whole message first.
        vector: the same by the vector model, NaN for windows that got no vector; None without an encoder.
        share: the text model's part where both judge.
        folded: the whole message, folded.
        last: its last sentence, folded.
    """
    text = np.clip(text, -_SURE, _SURE)
    vector = text if vector is None else np.clip(vector, -_SURE, _SURE)
    both = share * text + (1.0 - share) * vector
    known = np.flatnonzero(~np.isnan(both))
    most, second = _two(both[known])
    text_most, text_second = _two(text)
    return np.array(
        [
            most,
            second,
            both[0],
            both[known].mean(),
            text_most,
            text_second,
            text[0],
            text.mean(),
            vector[known].max(),
            vector[0],
            *(_count(cue, folded) for cue in (_NOW, _PAST, _WELL, _INFORMS)),
            float(bool(_ASKING.match(last))),
        ],
        np.float32,
    )


def _two(odds: Float32) -> tuple[float, float]:
    """Return the highest and the second highest; of a single window the same twice."""
    ordered = np.sort(odds)[::-1]
    return float(ordered[0]), float(ordered[min(1, len(ordered) - 1)])


def _count(cue: re.Pattern[str], folded: str) -> float:
    return min(sum(1 for _ in cue.finditer(folded)), _MOST_CUES) / _MOST_CUES

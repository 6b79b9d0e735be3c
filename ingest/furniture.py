"""
Name the blocks that are not content: rules over one block's text, and lines repeated across documents. Pure.

Every rule is general: words that many kinds of site use for the same purpose, never one site's strings. A marked
block is never quoted, so a rule marks too little rather than too much: a teaser that slips through is ugly, a lost
"call 911" is harm. Rules look at short blocks alone; none looks at table rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from ingest import furniture_patterns as patterns
from ingest.model import Block, BlockKind

# No rule has anything to say about longer blocks: the longest notices of cookies or advertisers have some 700.
MAX_BLOCK_CHARS = 900
MAX_LINES = 6

_I = re.IGNORECASE
_WEB_MARKS = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_LONG_WORD = re.compile(r"[^\W\d_][\w'’-]{3,}")

# Numbers and words that mark help for anybody in danger: no rule about phones touches a text that holds one.
_PROTECTED = re.compile(
    r"\b(?:911|988|999|112|111|000|116 ?123|741 ?741|662[ -.]?4357|222[ -.]?1222|273[ -.]?8255"
    r"|emergenc\w+|crisis|suicid\w+|self-harm|poison\w*|overdos\w+|samaritans|lifeline|samhsa|nhs|violence"
    r"|national|federal|state|county|department|ministry|government|public|university|hospital|institute|foundation"
    r"|association|society|pharmac\w+|veterans?)\b",
    _I,
)
_CLINICAL = re.compile(
    r"\b(?:dos(?:e|es|ing|age)|miss(?:ed)?|symptoms?|bleed\w*|chest|breath\w*|pain|fever|seizures?|appointments?"
    r"|prescri\w+|side effects?|injections?|naloxone|narcan|pregnan\w+|unconscious|wake|shak\w+|worse|doctors?"
    r"|nurses?|trials?|stock)\b",
    _I,
)
_PHONE = re.compile(r"(?:\+?\d{1,3}[ .-]?)?\(?\d{3,4}\)?[ .-]?\d{3}[ .-]?\d{3,4}\b|\b1-8\d\d-[A-Z-]{7,9}\b")
_CALL_TO_ACTION = re.compile(
    r"\bcall (?:us|now|today)\b|\bcall\b.{0,40}\b(?:now|today|anytime)\b|\bget help (?:now|today)\b|\btoday\b"
    r"|\b24/7\b|\b24 hours\b|\badmissions?\b|\binsurance\b|\bverify your\b|\bno obligation\b|\bwe can help\b"
    r"|\bfree (?:and confidential )?(?:consultation|assessment|quote)|\bstart your (?:recovery|journey)\b"
    r"|\b(?:speak|talk) (?:to|with) (?:a|an|one of our|our)\b|\bwe(?:'re| are|’re) (?:here|available)",
    _I,
)
_TREATMENT_TRADE = re.compile(
    r"\b(?:detox\w*|rehab\w*|placement|admissions?|recovery|(?:addiction|treatment|drug|alcohol|heroin|opioid|opiate)"
    r" (?:\w+ )?(?:hotline|helpline|line|center|centre|placement|treatment|rehab\w*|detox\w*))\b",
    _I,
)

_BYLINE = re.compile(patterns.BYLINE)
# "A publisher, 21 November 2026": names and a date, no sentence.
_IMPRINT = re.compile(rf"(?:[^.!?\d]{{3,60}}, )?{patterns.DATE}", _I)
# Blocks of a title page, with the furniture among them.
_MAX_OPENING = 12


def _matches(alternatives: tuple[str, ...]) -> Callable[[str], bool]:
    compiled = re.compile("|".join(f"(?:{pattern})" for pattern in alternatives), _I)
    return lambda text: compiled.fullmatch(text) is not None


def is_protected(text: str) -> bool:
    """Tell whether a text speaks of emergencies, public services or treatment, so that no guess may drop it."""
    return _PROTECTED.search(text) is not None or _CLINICAL.search(text) is not None


_EMERGENCY_NUMBER = re.compile(r"\b(?:911|988|999|112|111|116 ?\d{3}|741 ?741)\b")
_HELP = re.compile(
    rf"{_EMERGENCY_NUMBER.pattern}|\b000\b|\b(?:life|help|hot|crisis )lines?\b|\bsamaritans\b"
    r"|\bemergency\b|\bcrisis\b|\bpoisons? (?:control|cent(?:er|re)|information|helpline)\b",
    _I,
)
_FACT = re.compile(
    r"\d ?(?:mg|ml|mcg|g|%|percent|per cent|times|hours?|days?|weeks?|months?|minutes?)\b|\b(?:figure|fig\.?|table) \d"
    r"|\b(?:can|may|should|must|could|will|never|always|if|when|than|because|caus\w+|means|increas\w+|decreas\w+|reduc\w+"
    r"|block\w*|binds?|lasts?|peak\w*|compar\w+|per|rates?|chart|graph|diagram|how)\b",
    _I,
)


def offers_help(text: str) -> bool:
    """Tell whether a text holds a phone number or names a line for people in danger: it stays, link or not."""
    return _HELP.search(text) is not None or _PHONE.search(text) is not None


def states_fact(text: str) -> bool:
    """Tell whether a picture's caption says more than what is seen on it: a measure, a comparison, advice, a cause."""
    return offers_help(text) or _FACT.search(text) is not None or _CLINICAL.search(text) is not None


def _is_titled(text: str) -> bool:
    """Tell whether most longer words are capitalised."""
    words = _LONG_WORD.findall(text)
    return bool(words) and sum(word[0].isupper() for word in words) >= 0.6 * len(words)


_LEADS = (
    r"more like this",
    r"(?:also )?read(?: also| more| next| this)?",
    r"(?:keep|continue|further) reading",
    r"more (?:on|about|from) [^:.]{1,40}",
    r"related(?: (?:articles?|posts?|reading|stor(?:y|ies)|links?|content|topics?))?",
    r"see (?:also|more)",
    r"you (?:may|might|could) (?:also )?(?:like|enjoy|be interested in)",
    r"recommended(?: for you| reading)?",
    r"up next|next up|don[’']t miss|trending|in case you missed it",
    r"(?:for more information|to (?:learn|find out|read) more|learn more|find out more|want to know more)[^:.]{0,80}",
    r"(?:check out|take a look at|see)[^:.]{1,60}(?:articles?|posts?|guides?|blogs?|pages?)[^:.]{0,40}",
)
_TEASER = re.compile(rf"(?:{'|'.join(_LEADS)})\s*[:–—-]\s+(.+)", _I)
_TEASER_ALONE = re.compile(
    r"(?:related|similar|recommended|featured|popular|recent|latest)"
    r" (?:articles?|posts?|stor(?:y|ies)|links|reading|content|topics|pages)"
    r"|more like this|you (?:may|might) also (?:like|enjoy)|continue reading|see also:?"
    r"|(?:click (?:here )?to )?(?:read|see|view) (?:more|all)(?: (?:articles|posts|stories|news))?"
    r"|(?:click|tap) (?:here|below|on the link)(?: (?:to|for) [^.]{1,60})?[.!]?"
    r"|read (?:the )?(?:full|whole|original) (?:article|story|post)",
    _I,
)
_ADVICE = re.compile(r"\b(?:must|should|may|can|if|when|never|not|do|call|give|ask|use|take|stop|keep)\b|\d", _I)


def _is_teaser(text: str) -> bool:
    """A lead phrase and a title behind it, and no sentence; or the lead phrase alone."""
    if _TEASER_ALONE.fullmatch(text.rstrip(" →»›>.…")):
        return True
    found = _TEASER.fullmatch(text)
    if found is None or len(text) > 250:
        return False
    title = found.group(1).strip()
    if _is_titled(title):
        return True
    return title[-1] not in ".!?" and title[0].isupper() and _ADVICE.search(title) is None


def _is_phone_line(text: str) -> bool:
    """
    A phone number with an advertiser's call to action, or with nothing but trade labels around it.

    Never a text with an emergency or public number, or one that says when to call for a medical reason.
    """
    phones = _PHONE.findall(text)
    if not phones or len(text) > 300 or is_protected(text):
        return False
    rest = _PHONE.sub(" ", text)
    if len(rest.split()) > 8 * len(phones) + 20:
        return False
    is_label = re.search(r"[.!?]\s", rest.strip() + " ") is None and len(rest.split()) <= 6 * len(phones)
    return _CALL_TO_ACTION.search(rest) is not None or (is_label and _TREATMENT_TRADE.search(rest) is not None)


_COOKIE_WORDS = re.compile(
    r"\b(?:we|this|our|site|website|browser|browsing|device|accept|reject|consent|preferences|policy|settings|manage"
    r"|essential|necessary|agree|clicking)\b",
    _I,
)


def _is_cookie_notice(text: str) -> bool:
    """Consent text: cookies together with at least two words of consent, and nothing to eat."""
    if not re.search(r"\bcookies?\b", text, _I) or re.search(r"\b(?:eat|food|sweet|sugar|bak\w+|snacks?)\b", text, _I):
        return False
    cues = {word.lower() for word in _COOKIE_WORDS.findall(text)}
    return len(text) <= 700 and (len(cues) >= 2 or (len(cues) == 1 and len(text.split()) <= 6))


_ADVERTISER_CUES = (
    r"\bpaid (?:advertisers?|advertisements?|placements?)\b",
    r"\baffiliate (?:links?|partners?|program\w*)\b",
    r"\b(?:earns?|receives?|paid) (?:an?|any|no)? ?(?:\w+ )?(?:commission|referral fee|compensation)\b",
    r"\bcalls?\b.{0,80}\b(?:routed|forwarded|directed|answered or returned)\b",
    r"\bby calling\b.{0,60}\b(?:agree|terms)\b",
    r"\bpaid for by\b|\bsponsored (?:by|listings?|content|post)\b",
)
_ADDRESSES_READER = re.compile(r"\b(?:we|our|us|you|your|this (?:post|page|site|article|website))\b", _I)
_ADVERTISER_LABEL = re.compile(
    r"(?:sponsored(?: content| post| by [^.]{1,40})?|paid (?:content|post|advertisement)|advertorial|advertise with us"
    r"|who answers\??|where do(?:es)? (?:my )?calls? go\??|ad(?:vertising)? disclosure)",
    _I,
)


def _is_advertiser_notice(text: str) -> bool:
    """Who pays: two cues of paid referral, or one where the site speaks to the reader."""
    if _ADVERTISER_LABEL.fullmatch(text):
        return True
    n_cues = sum(re.search(cue, text, _I) is not None for cue in _ADVERTISER_CUES)
    if n_cues != 1 or len(text.split()) > 60 or _PROTECTED.search(text):
        return n_cues >= 2
    return _ADDRESSES_READER.search(text) is not None


_FORM_FIELD = re.compile(r"(?:name|e-?mail(?: address)?|website|url|comment|message|phone|subject) ?\*?:?", _I)
_NOT_A_NAME = re.compile(r"\b(?:Mouth|Day|Night|Injection|Law|Phone|Week|Month|Hand|Weight|Age|Nose|Drug)s?\b")
_ALT_TEXT = re.compile(
    r"(?:an? )?(?:\w+ )?(?:man|woman|men|women|person|people|couple|girl|boy|child|family|group|doctor|nurse|therapist"
    r"|therapy|pills?|bottles?|syringes?|needles?|logo|silhouette)(?: \w+){0,3} (?:in|on|at|by|near|against|from)"
    r"(?: \w+){0,2} (?:room|window|tables?|fields?|beach|street|office|park|couch|sofa|floor|background|wall|sky|sunset"
    r"|forest|chairs?|desk|circle|meeting)"
)


def _is_byline(text: str) -> bool:
    return _BYLINE.fullmatch(text) is not None and _NOT_A_NAME.search(text) is None


_BARS = re.compile(r"\s*[|·•]\s*|(?<=\w)\.\s+")
_is_copyright_wording = _matches(patterns.COPYRIGHT)
_is_row_part = _matches(patterns.ROW_PART)


def _is_copyright(text: str) -> bool:
    return _is_copyright_wording(text) and _EMERGENCY_NUMBER.search(text) is None


def without_owner(parts: Sequence[str]) -> str:
    """Return a row without the parts that say who holds the copyright: a name with "Helpline" in it helps nobody."""
    return " | ".join(part for part in parts if not _is_copyright(part))


def _is_row(text: str) -> bool:
    """Parts between bars that are furniture each: "Privacy | Terms of use | Print"."""
    parts = [part.rstrip(".") for part in _BARS.split(text) if part.strip()]
    if len(parts) < 2 or offers_help(without_owner(parts)):
        return False
    return all(_is_row_part(part) or furniture_rule(part) for part in parts)


# Name -> rule, in the order in which they are asked. Names are part of what a build reports: keep them stable.
_RULES: dict[str, Callable[[str], bool]] = {
    "navigation": _matches(patterns.NAVIGATION),
    "widget": _matches(patterns.WIDGET),
    "comment_form": _matches(patterns.COMMENT_FORM),
    "sharing": _matches(patterns.SHARING),
    "dateline": _matches(patterns.DATELINE),
    "byline": _is_byline,
    "copyright": _is_copyright,
    "bare_link": _matches(patterns.BARE_LINK),
    "template_field": _matches(patterns.TEMPLATE_FIELD),
    "image_credit": _matches(patterns.IMAGE_CREDIT),
    "newsletter": _matches(patterns.NEWSLETTER),
    "teaser": _is_teaser,
    "cookie_notice": _is_cookie_notice,
    "phone_line": _is_phone_line,
    "entry_meta": _matches(patterns.ENTRY_META),
    "advertiser_notice": _is_advertiser_notice,
    "link_row": _is_row,
}
_LONG_RULES = ("cookie_notice", "advertiser_notice")
_LONG_HINT = re.compile("cookie|advertis|commission|affiliate|sponsor|compensation|routed|referral fee|paid for", _I)
_MAX_SHORT_CHARS = 300


def furniture_rule(text: str) -> str:
    """Return the name of the rule that takes a block's text for furniture, "" if it is content."""
    if len(text) > MAX_BLOCK_CHARS:
        return ""
    if "\n" in text:
        lines = [line for line in text.split("\n") if line.strip()]
        rules = [furniture_rule(line) for line in lines[:MAX_LINES]] if len(lines) <= MAX_LINES else [""]
        if all(rules):
            return rules[0]
    plain = " ".join(_WEB_MARKS.sub(r"\1", text).split()).strip("*_ ")
    if not plain:
        return ""
    if len(plain) > _MAX_SHORT_CHARS and _LONG_HINT.search(plain) is None:
        return ""
    names = _RULES if len(plain) <= _MAX_SHORT_CHARS else _LONG_RULES
    return next((name for name in names if _RULES[name](plain)), "")


def mark_furniture(text: str, blocks: Sequence[Block]) -> tuple[Block, ...]:
    """
    Return the blocks with furniture named; marks that a reader set stay.

    Where a heading is marked, the blocks under it move below the headings that held before it; section numbers stay.
    """
    marked: list[Block] = []
    for block in blocks:
        rule = block.furniture or _rule_in_place(text, block, marked[-1] if marked else None)
        marked.append(block if rule == block.furniture else replace(block, furniture=rule))
    return _without_furniture_headings(text, _mark_imprint(text, marked), blocks)


def _mark_imprint(text: str, blocks: list[Block]) -> list[Block]:
    """
    Mark what a title page says before the text begins: title and, in the last line, who published it and when.

    Only the opening paragraphs count, up to the first heading, and only short lines without a sentence among them.
    """
    opening: list[int] = []
    for i, block in enumerate(blocks[:_MAX_OPENING]):
        if block.furniture:
            continue
        piece = text[block.start : block.end]
        if block.kind is not BlockKind.PARAGRAPH or not _is_title_page(piece):
            break
        opening.append(i)
        if _IMPRINT.fullmatch(piece.rpartition("\n")[2].strip()):
            return [replace(b, furniture="imprint") if n in opening else b for n, b in enumerate(blocks)]
    return blocks


def _is_title_page(piece: str) -> bool:
    lines = [line.strip() for line in piece.split("\n")]
    return len(lines) <= MAX_LINES and all(0 < len(line) <= 100 and line[-1] not in ".!:;" for line in lines)


def _rule_in_place(text: str, block: Block, before: Block | None) -> str:
    """
    Return the rule that takes a block for furniture where it stands.

    Fields of a comment form ("Name", "Email") count only behind another line of that form, and a lower-case scene
    ("people in waiting room") only as a paragraph right under a heading: both could be content elsewhere.
    """
    if block.kind is BlockKind.TABLE_ROW or block.end - block.start > MAX_BLOCK_CHARS:
        return ""
    piece = text[block.start : block.end]
    if before is not None and before.furniture == "comment_form" and _FORM_FIELD.fullmatch(piece):
        return "comment_form"
    rule = furniture_rule(piece)
    if rule == "byline" and block.kind is BlockKind.HEADING:
        return ""
    if rule or before is None:
        return rule
    is_under_heading = before.kind is BlockKind.HEADING and block.kind is BlockKind.PARAGRAPH
    return "image_alt" if is_under_heading and _ALT_TEXT.fullmatch(piece) else ""


def _without_furniture_headings(text: str, marked: list[Block], before: Sequence[Block]) -> tuple[Block, ...]:
    """Take headings that were just marked out of the heading paths of the blocks below them."""
    result: list[Block] = []
    moves: list[tuple[tuple[str, ...], tuple[str, ...]]] = []  # (path as read, path that takes its place)
    in_force: tuple[str, ...] = ()
    for block, old in zip(marked, before, strict=True):
        while moves and block.heading_path[: len(moves[-1][0])] != moves[-1][0]:
            moves.pop()
        path = block.heading_path
        if moves:
            path = moves[-1][1] + path[len(moves[-1][0]) :]
        title = " ".join(text[block.start : block.end].split()) if block.kind is BlockKind.HEADING else ""
        if title and block.furniture and not old.furniture:
            moves.append(((*block.heading_path, title), in_force))
            path = in_force
        elif title and not block.furniture:
            in_force = (*path, title)
        else:
            in_force = path
        result.append(block if path == block.heading_path else replace(block, heading_path=path))
    return tuple(result)

"""
Rules that tell a page's furniture from its content by its structure: tags, roles, class words, link density.

Each rule has a name, which the block carries. No rule knows a site; wording is judged in `ingest.furniture`. A rule
never marks an element that holds the page's main part, its title or most of its text (but hidden parts, consent
dialogs and comments, which can outweigh a short page).

Class and id are read as words: "c-breadcrumb__list" is the names (c, breadcrumb) and (list). A name counts where
one of its words is a rule's word and **all** others are a rule's partners, layout words, or vendor prefixes of up to
three letters: "related-articles" and "wp-related-links" count, "sharing-needles" and "informed-consent" do not.

Link density of navigation is 0.8 to 1.0, of prose with references 0.0 to 0.3 (500 pages of the Rust documentation: of
2.1 million letters in their <main>, 0.2 % were marked, all of it tables of contents and lists of links).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from lxml import etree

from ingest.furniture import is_protected, offers_help, states_fact
from ingest.readers.survey import CONTROLS, HEADINGS, INLINE, Stats, Survey, words
from ingest.readers.tree import local_name

HIDDEN = "hidden"
CAPTION = "picture_caption"
OUTSIDE_MAIN = "outside_main"
LINK_DENSE = 0.5  # half of the text in links: with a telling name, role or tag
MOSTLY_LINKS = 0.8  # by itself
_FEW_LINKS = 3  # below that a link-dense block is a reference
_TITLE_WORDS = 4  # words a link from which it reads like a title, not like a name
_LARGE_SHARE = 0.6  # of the page's text: no furniture by name or tag
_LARGE_CHARS = 500

_CONTAINERS = words(
    "div section ul ol dl aside nav header footer form table td details figure center menu fieldset search p"
)
_LAYOUT_WORDS = words(
    "block container wrapper wrap box list item section area module widget widgets inner outer group row col column "
    "grid panel content body region component left right top bottom side site page global primary secondary main "
    "mobile desktop header footer title heading sticky fixed floating footer post entry article inline default "
    "horizontal vertical small large new id"
)
_NEVER_BY_LINKS = words("table tr li dt dd tbody thead") | HEADINGS
_SITE_WORDS = words(
    "site page global main top bottom primary wrapper wrap container inner outer area bar mobile desktop sticky fixed"
)
_STATE_WORDS = words("no not has is with without js hide show non")
_DIALOG_WORDS = words("banner dialog popup popover modal bar notice manager overlay prompt message law")


@dataclass(frozen=True, slots=True)
class WordRule:
    """
    A rule on the words of class and id.

    `words` tell it alone or beside `partners`; `pairs` only beside a partner. All set conditions must hold, of
    `min_density` and `needs_control` one.
    """

    name: str
    words: frozenset[str]
    partners: frozenset[str] = frozenset()
    pairs: frozenset[str] = frozenset()
    min_density: float | None = None
    needs_control: bool = False
    max_prose: int | None = None
    only_outside: bool = False  # of main, article and section
    only_before_title: bool = False
    layout: frozenset[str] = _LAYOUT_WORDS
    min_comment_marks: int = 0  # or a control
    only_class: bool = False  # an id may name what a section is about: "sponsor" is a word of support groups
    spares_emergencies: bool = False  # not if the text names help for anybody in danger


_RULES = (
    WordRule("breadcrumb", words("breadcrumb breadcrumbs crumb crumbs"), words("trail nav navigation links")),
    WordRule("contents_list", words("toc contents"), words("table of on this page"), min_density=LINK_DENSE),
    WordRule(
        "navigation",
        words("nav navbar navigation menu menus subnav sidenav topnav pagination pager sitemap navlinks"),
        words("links toggle tabs topics related social language"),
        min_density=LINK_DENSE,
    ),
    WordRule("cookie_notice", words("cookie cookies gdpr ccpa"), _DIALOG_WORDS | {"consent", "info", "policy"},
             words("consent"), needs_control=True),
    WordRule("cookie_notice", frozenset(), _DIALOG_WORDS, words("cookie cookies gdpr ccpa consent"), max_prose=1_500),
    WordRule(
        "share_links",
        words("share sharing social socials addthis sharethis sharedaddy"),
        words("links link buttons button icons icon media follow bar tools this on us network networks enabled"),
        min_density=LINK_DENSE,
        needs_control=True,
    ),
    WordRule("comments", words("comments commentlist respond disqus"), words("thread reply form count"),
             words("comment"), min_comment_marks=2),
    WordRule("comment_form", words("commentform"), words("reply form respond"), words("comment"),
             needs_control=True),
    WordRule(
        "related_links",
        words("related recommended recommendations recommendation recirculation recirc teaser teasers trending "
              "relatedposts suggested readmore morelikethis alsoread readalso readnext"),
        words("articles posts stories links news reading pages topics resources items cards more read stories "
              "this next also see link you may might"),
        words("popular latest more like also"),
        min_density=LINK_DENSE,
    ),
    WordRule("sign_up", words("newsletter signup subscribe subscription optin mailinglist"),
             words("form sign up email mailing cta"), words("sign mailing"), needs_control=True, max_prose=600),
    WordRule("advertisement", words("advert adverts advertisement advertisements advertising adsense adsbygoogle"),
             words("slot unit banner label space zone"), words("ad ads sponsored promoted"), max_prose=600),
    WordRule("advertisement", words("ad ads sponsor sponsored promo promotion cta"), words("banner label"),
             max_prose=400, only_class=True, spares_emergencies=True),
    WordRule("feedback", words("feedback rating helpful"), words("form was this page vote"), needs_control=True,
             max_prose=200),
    WordRule("search", words("search searchbox searchform"), words("form bar field toggle"), needs_control=True,
             max_prose=300),
    WordRule("site_header", words("header masthead topbar banner"), words("logo brand"), layout=_SITE_WORDS,
             max_prose=400, only_outside=True, only_before_title=True),
    WordRule("site_footer", words("footer colophon copyright"), words("legal credits links"),
             layout=_SITE_WORDS, max_prose=1_500, only_outside=True),
    WordRule("sidebar", words("sidebar sidebars rail"), only_outside=True),
    WordRule("sidebar", words("side"), min_density=0.3, only_outside=True),
    WordRule("page_tools", words("toolbar tools actions utility"), words("print email share text size"),
             min_density=LINK_DENSE, needs_control=True, max_prose=100),
)  # fmt: skip

_CAPTION_TAGS = words("span small em i cite font")  # within a line
_CAPTION_WORDS = words("caption captions cutline credit credits photocaption photocredit")
_PICTURE_WORDS = words(
    "image img photo picture pic media figure fig gallery video slide slideshow carousel thumb text source story lead "
    "hero photographer copyright wp"
)
_MAX_CAPTION_CHARS = 300

_ROLES = {
    "navigation": "navigation",
    "menu": "navigation",
    "menubar": "navigation",
    "tablist": "navigation",
    "toolbar": "page_tools",
    "doc-toc": "contents_list",
    "directory": "contents_list",
    "search": "search",
    "dialog": "dialog",
    "alertdialog": "dialog",
}
_LANDMARKS = {"banner": "header", "contentinfo": "footer", "complementary": "aside"}
_BY_LINKS = frozenset({"page_tools", "contents_list", "related_links", "link_list"})
_OUTWEIGH_PAGE = frozenset({"comments", "cookie_notice", "dialog"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where an element stands: within main or article, within any sectioning element; after which kind of text."""

    in_content: bool = False
    in_section: bool = False
    in_row: bool = False  # of a table of data
    follows_lead_in: bool = False
    follows_title: bool = False
    is_bound: bool = False  # in a book or document: links without a host stay within it


def cut_rule(element: etree._Element, tag: str) -> str:
    """
    Return why an element within a line is not shown there, "" if it is.

    An `aria-hidden` part is seen by most readers, so it counts as hidden only where it is a mere sign ("#", "\u00d7").
    """
    types = _epub_types(element)
    if "pagebreak" in types or element.get("role") == "doc-pagebreak":
        return "page_number"
    if tag in ("del", "s", "strike"):
        return "struck_out"
    if tag not in INLINE:
        return ""
    rule = ""
    if _is_hidden(element):
        rule = HIDDEN
    elif tag in _CAPTION_TAGS and _is_caption(element):
        rule = CAPTION
    elif element.get("aria-hidden", "").lower() == "true":
        rule = "" if any(c.isalnum() for c in _start_of_text(element)) else "decoration"
    return rule


def _is_hidden(element: etree._Element) -> bool:
    """Tell whether an element is not shown; `hidden="until-found"` is content that a search may open."""
    hidden = element.get("hidden")
    if hidden is not None and hidden.strip().lower() != "until-found":
        return True
    style = element.get("style", "").lower()
    if style and re.search(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", style):
        return True
    for name in _names(element):
        pairs = set(pairwise(name))
        if pairs & {("sr", "only"), ("visually", "hidden"), ("screen", "reader")} or "visuallyhidden" in name:
            return True
    return False


def _is_caption(element: etree._Element) -> bool:
    """Tell whether an element is a picture's caption or credit by its class, and its text a mere description."""
    own = [set(name) for name in _names_in(element.get("class"))]
    named = any(name & _CAPTION_WORDS and not name - _CAPTION_WORDS - _PICTURE_WORDS - _LAYOUT_WORDS for name in own)
    text = _start_of_text(element, _MAX_CAPTION_CHARS + 1) if named else ""
    return named and len(text) <= _MAX_CAPTION_CHARS and not states_fact(text)


def _epub_types(element: etree._Element) -> set[str]:
    types = element.get("{http://www.idpf.org/2007/ops}type") or element.get("epub:type") or ""
    return set(types.lower().split())


def _start_of_text(element: etree._Element, n_chars: int = 200) -> str:
    """Return the beginning of an element's text."""
    text = ""
    for part in element.itertext():
        text = f"{text}{part!s}"[:n_chars]
        if len(text) == n_chars:
            break
    return text


def furniture_rule(element: etree._Element, survey: Survey, place: Place) -> str:
    """Return the name of the first rule that marks an element and all in it, "" for content."""
    tag = local_name(element)
    if tag in ("html", "body", "main") or element in survey.protected:
        return ""
    if tag in INLINE or tag in CONTROLS or tag in ("noscript", "dialog"):
        rule = _of_small_part(element, tag)
    elif _is_hidden(element) or element.get("aria-hidden", "").lower() == "true":
        rule = HIDDEN
    else:
        stats = survey.of(element)
        rule = _by_role_or_tag(element, tag, stats, place) or _by_words(element, tag, stats, place)
        if not rule and tag in ("p", "div") and not (stats.n_headings or place.in_row) and _is_caption(element):
            rule = CAPTION
        rule = rule or _by_links(tag, stats, survey, place)
        if rule in _BY_LINKS and place.in_content and offers_help(_start_of_text(element, 1_000)):
            rule = ""
        is_large = stats.text_chars >= _LARGE_CHARS and stats.text_chars >= _LARGE_SHARE * survey.total.text_chars
        if is_large and rule not in _OUTWEIGH_PAGE:
            rule = ""
    return rule


def _of_small_part(element: etree._Element, tag: str) -> str:
    rule = "form_control" if tag in CONTROLS else ""
    if tag == "a" and _is_skip_link(element):
        rule = "skip_link"
    elif tag == "noscript":
        rule = "noscript"
    elif tag == "dialog":
        rule = HIDDEN if element.get("open") is None else "dialog"
    return rule


def _by_role_or_tag(element: etree._Element, tag: str, stats: Stats, place: Place) -> str:
    role = element.get("role", "").strip().lower()
    if role in _ROLES:
        return _ROLES[role]
    if {"toc", "landmarks", "page-list", "loi", "lot"} & _epub_types(element):
        return "contents_list"
    kind = _LANDMARKS.get(role, tag)
    rule = ""
    if kind in ("nav", "search"):
        rule = "breadcrumb" if "breadcrumb" in element.get("aria-label", "").lower() else "navigation"
        rule = "search" if kind == "search" else rule
    elif kind == "header":
        rule = "" if place.in_section else "site_header"
    elif kind in ("footer", "aside"):
        # In an article: who wrote a quotation, a definition beside the text. Only what is made of links is furniture.
        is_links = stats.n_links > 0 and stats.link_density >= LINK_DENSE
        rule = ("site_footer" if kind == "footer" else "aside") if is_links or not place.in_section else ""
    elif kind == "form":
        # Some servers wrap the whole page into a form: prose is content, its controls are marked one by one.
        rule = "form" if stats.prose_chars < 400 and stats.n_controls > 0 else ""
    return rule


def _by_words(element: etree._Element, tag: str, stats: Stats, place: Place) -> str:
    if tag not in _CONTAINERS or place.in_row:
        return ""
    classes = _names_in(element.get("class"))
    names = classes + _names_in(element.get("id"))
    if element.get("role") == "region":
        names += _names_in("-".join(element.get("aria-label", "").split()))
    for rule in _RULES if names else ():
        candidates = classes if rule.only_class else names
        if any(_name_counts(name, rule) for name in candidates) and _evidence_holds(rule, stats, place):
            is_spared = rule.spares_emergencies and is_protected(_start_of_text(element, 1_000))
            return "" if is_spared else rule.name
    return ""


def _name_counts(name: tuple[str, ...], rule: WordRule) -> bool:
    own = set(name)
    if own & _STATE_WORDS:
        return False
    others = own - rule.words - rule.pairs
    known = all(w in rule.partners or w in rule.layout or len(w) <= 3 or w.isdigit() for w in others)
    paired = bool(own & rule.pairs) and bool(others & (rule.partners | rule.layout))
    return known and (bool(own & rule.words) or paired)


def _evidence_holds(rule: WordRule, stats: Stats, place: Place) -> bool:
    if (rule.only_outside and place.in_content) or (rule.only_before_title and place.follows_title):
        return False
    too_long = rule.max_prose is not None and stats.prose_chars > rule.max_prose
    if too_long or (stats.n_comment_marks < rule.min_comment_marks and not stats.n_controls):
        return False
    if rule.min_density is None and not rule.needs_control:
        return True
    is_dense = rule.min_density is not None and stats.link_density >= rule.min_density and stats.n_links > 0
    return is_dense or (rule.needs_control and stats.n_controls > 0)


def _by_links(tag: str, stats: Stats, survey: Survey, place: Place) -> str:
    """
    Return a rule for blocks that are links and little else.

    A few words that lead nowhere ("#") are a button. Links within the page are its table of contents. In the content,
    only links that read like titles and that no sentence leads in to are teasers: "You can get help from: ..." stays.
    Outside of it any list of links goes; on a page without main and article that is what comes before the title.
    """
    if place.in_row or tag in _NEVER_BY_LINKS or stats.link_density < MOSTLY_LINKS:
        return ""
    are_titles = stats.n_link_words >= _TITLE_WORDS * stats.n_links
    outside = not place.in_content if survey.has_main_or_article else not place.follows_title
    rule = ""
    if stats.n_links and stats.n_script_links == stats.n_links and not are_titles:
        rule = "page_tools"
    elif stats.n_links < _FEW_LINKS or stats.n_headings > stats.n_links:
        rule = ""
    elif (stats.n_inner_links if place.is_bound else stats.n_fragment_links) == stats.n_links:
        rule = "contents_list"
    elif not place.follows_lead_in:
        # In the content numbered links are steps, unless a heading says otherwise (`block_lines` asks that).
        is_teaser = are_titles and (outside or tag != "ol")
        rule = "related_links" if is_teaser else "link_list" if outside else ""
    return rule


def _is_skip_link(element: etree._Element) -> bool:
    if not element.get("href", "").startswith("#"):
        return False
    text = " ".join(_start_of_text(element).lower().split())
    if len(text) > 60:
        return False
    named = any({"skip", "skiplink", "skipnav"} & set(name) for name in _names(element))
    return named or re.match(r"(?:skip|jump) (?:to|over|past)\b", text) is not None


def _names(element: etree._Element) -> list[tuple[str, ...]]:
    return _names_in(element.get("class")) + _names_in(element.get("id"))


def _names_in(attribute: str | None) -> list[tuple[str, ...]]:
    """Return the names in a class or id, each a tuple of lower-case words; BEM's blocks and modifiers stand alone."""
    names: list[tuple[str, ...]] = []
    for token in re.split(r"\s+|__|--", attribute[:1_000]) if attribute else ():
        spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", token)
        words = tuple(w.lower() for w in re.split(r"[-_:]+", spaced) if w)
        if words:
            names.append(words)
    return names

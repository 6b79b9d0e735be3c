"""
Counts of a page that furniture rules rest on: text, links, controls, headings of every part. Marks nothing itself.

One pass, from the leaves up. Text is counted in characters that are not white space.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from lxml import etree

from ingest.readers.tree import local_name


def words(text: str) -> frozenset[str]:
    """Return the set of the words of a text."""
    return frozenset(text.split())


# Elements whose content is never shown as text (HTML standard, "Rendering"; object falls back to its content).
UNSHOWN = words(
    "script style template title head meta link base iframe noembed noframes audio video canvas rp datalist "
    "annotation annotation-xml param source track area"
)
# Elements that flow within a line. Everything else that is known starts a block; unknown ones flow, as in browsers.
INLINE = words(
    "a abbr acronym b bdi bdo big blink cite code data del dfn em embed font i img ins kbd label mark math meter nobr "
    "output picture progress q rb rt rtc ruby s samp slot small span strike strong sub sup svg time tt u var wbr "
    "mi mn mo ms mtext mrow msup msub mfrac msqrt mroot mstyle munder mover munderover msubsup mtable mtr mtd "
    "mspace mpadded mphantom merror mfenced menclose semantics object map"
)
BLOCKS = words(
    "address article aside blockquote body button caption center col colgroup dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr html input legend li listing main menu "
    "nav noscript ol optgroup option p plaintext pre search section select summary table tbody td textarea tfoot th "
    "thead tr ul xmp"
)
CONTROLS = frozenset({"button", "input", "select", "textarea"})
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


@dataclass(slots=True)
class Stats:
    """
    What lies within one element, itself included.

    `text_chars` and `link_chars` count shown text, and how much of it stands in links; `n_fragment_links` are links
    within the page, `n_inner_links` those and links without a host, `n_script_links` links that lead nowhere.
    """

    text_chars: int = 0
    link_chars: int = 0
    n_links: int = 0
    n_link_words: int = 0
    n_fragment_links: int = 0
    n_inner_links: int = 0
    n_script_links: int = 0
    n_controls: int = 0
    n_comment_marks: int = 0
    n_headings: int = 0  # outside th
    n_tables: int = 0
    n_rows: int = 0
    n_cells: int = 0
    n_data_cells: int = 0

    @property
    def prose_chars(self) -> int:
        """Return the characters outside links."""
        return self.text_chars - self.link_chars

    @property
    def link_density(self) -> float:
        """Return the share of text that stands in links, 0 for no text."""
        return self.link_chars / self.text_chars if self.text_chars else 0.0

    def add(self, other: Stats) -> None:
        """Count what another element holds as well."""
        self.text_chars += other.text_chars
        self.link_chars += other.link_chars
        self.n_links += other.n_links
        self.n_link_words += other.n_link_words
        self.n_fragment_links += other.n_fragment_links
        self.n_inner_links += other.n_inner_links
        self.n_script_links += other.n_script_links
        self.n_controls += other.n_controls
        self.n_comment_marks += other.n_comment_marks
        self.n_headings += other.n_headings
        self.n_tables += other.n_tables
        self.n_rows += other.n_rows
        self.n_cells += other.n_cells
        self.n_data_cells += other.n_data_cells


@dataclass(slots=True)
class Survey:
    """
    The counts of a page's containers, and where its content lies.

    `mains` are <main> and role=main outside of each other. `main_holds_page` says that they hold most of the
    page's prose, so that what lies outside is not the content. `title` is the h1 that names the page, None if none
    does. `protected` are the elements that hold a main, the title or the article that is most of the page: no rule
    marks those as a whole.
    """

    stats: dict[etree._Element, Stats]
    total: Stats
    mains: tuple[etree._Element, ...] = ()
    main_holds_page: bool = False
    title: etree._Element | None = None
    title_in_main: bool = False
    has_main_or_article: bool = False
    protected: set[etree._Element] = field(default_factory=set)

    def of(self, element: etree._Element) -> Stats:
        """Return the counts of a container; of an inline element nothing is kept."""
        return self.stats.get(element) or Stats()


def survey_page(root: etree._Element) -> Survey:
    """Return the counts of every container below `root` and where the content lies."""
    stats, total = _count(root)
    mains = tuple(_mains(root))
    articles = [e for e in root.iter() if local_name(e) == "article" or e.get("role") == "article"]
    prose = total.prose_chars
    survey = Survey(stats, total, mains, has_main_or_article=bool(mains or articles))
    # Half of the prose: a page whose <main> wraps a banner alone keeps what lies outside of it.
    in_mains = sum(stats[main].prose_chars for main in mains if main in stats)
    survey.main_holds_page = bool(mains) and prose > 0 and in_mains >= 0.5 * prose
    survey.title, survey.title_in_main = _find_title(root, stats, {*mains, *articles})
    article = None if mains or survey.title_in_main else _largest(articles, stats, prose)
    for element in (*mains, survey.title, article):
        while element is not None:
            survey.protected.add(element)
            element = element.getparent()  # noqa: PLW2901 - walks up from each
    return survey


def _mains(root: etree._Element) -> list[etree._Element]:
    """Return main and role=main outside of each other."""
    found: list[etree._Element] = []
    walker = etree.iterwalk(root, events=("start",))
    for _, element in walker:
        if local_name(element) == "main" or element.get("role") == "main":
            found.append(element)
            walker.skip_subtree()
    return found


def _largest(articles: list[etree._Element], stats: dict[etree._Element, Stats], prose: int) -> etree._Element | None:
    """Return the article that holds at least half of the page's prose, the innermost such."""
    holding = [e for e in articles if e in stats and prose and stats[e].prose_chars >= 0.5 * prose]
    return holding[-1] if holding else None


def _find_title(
    root: etree._Element, stats: dict[etree._Element, Stats], content: set[etree._Element]
) -> tuple[etree._Element | None, bool]:
    """Return the h1 that names the page, and whether it lies in main or article; a mere link home is a logo."""
    outside: etree._Element | None = None
    headings = (e for e in root.iter() if local_name(e) == "h1" and e in stats and stats[e].text_chars)
    for heading in islice(headings, 100):  # a page with more titles than that has none
        if any(ancestor in content for ancestor in heading.iterancestors()):
            return heading, True
        if outside is None and stats[heading].link_density < 1:
            outside = heading
    return outside, False


def _count(root: etree._Element) -> tuple[dict[etree._Element, Stats], Stats]:
    stats: dict[etree._Element, Stats] = {}
    open_counts: list[Stats] = [Stats()]
    link_depth = heading_cell_depth = 0
    walker = etree.iterwalk(root, events=("start", "end"))
    for event, element in walker:
        tag = local_name(element)
        is_link = tag == "a" and element.get("href") is not None
        if event == "start":
            counts = Stats()
            open_counts.append(counts)
            link_depth += is_link
            heading_cell_depth += tag == "th"
            if tag in UNSHOWN:
                walker.skip_subtree()
            else:
                _count_element(counts, element, tag, heading_cell_depth > 0)
                _count_text(counts, element.text, link_depth > 0)
            continue
        link_depth -= is_link
        heading_cell_depth -= tag == "th"
        counts = open_counts.pop()
        open_counts[-1].add(counts)
        if tag not in INLINE and tag not in UNSHOWN:
            stats[element] = counts
        _count_text(open_counts[-1], element.tail, link_depth > 0)
    return stats, open_counts[0]


def _count_text(counts: Stats, text: str | None, in_link: bool) -> None:
    if not text:
        return
    words = text.split()
    n_chars = sum(map(len, words))
    counts.text_chars += n_chars
    if in_link:
        counts.link_chars += n_chars
        counts.n_link_words += len(words)


def _count_element(counts: Stats, element: etree._Element, tag: str, in_heading_cell: bool) -> None:
    href = element.get("href") if tag == "a" else None
    if href is not None:
        target = href.strip()
        counts.n_links = 1
        counts.n_script_links = int(target == "#" or target.lower().startswith("javascript:"))
        counts.n_fragment_links = int(target.startswith("#") and target != "#")
        counts.n_inner_links = int("://" not in target and not target.startswith(("//", "mailto:", "tel:")))
    counts.n_controls = int(tag in CONTROLS and element.get("type") != "hidden")
    counts.n_headings = int(tag in HEADINGS and not in_heading_cell)
    counts.n_tables = int(tag == "table")
    counts.n_rows = int(tag == "tr")
    counts.n_cells = int(tag in ("td", "th"))
    counts.n_data_cells = int(tag == "td")
    names = f"{element.get('class', '')} {element.get('id', '')}".lower()
    counts.n_comment_marks = int("comment" in names or "reply" in names)

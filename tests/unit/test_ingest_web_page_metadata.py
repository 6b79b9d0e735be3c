"""The HTML reader: what a page says of itself."""

from __future__ import annotations

from datetime import date

import pytest
from web_page_support import read


class TestMetadata:
    """What a page says about itself."""

    def test_all_fields(self) -> None:
        """This ensures that each field is found, with its type."""
        html = """<html lang="en_us"><head><title>Heroin – The Clinic</title>
        <meta property="og:site_name" content="The Clinic"><meta name="author" content="J. Doe">
        <meta property="article:published_time" content="2019-03-04T10:00:00Z">
        <meta itemprop="lastReviewed" content="2021-01-02"><link rel="canonical" href="https://clinic.example/h">
        <link rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/deed.en"></head>
        <h1>Heroin<a aria-hidden="true">#</a></h1><p>x"""

        assert read(html).metadata == {
            "title": "Heroin",
            "publisher": "The Clinic",
            "authors": ("J. Doe",),
            "published": date(2019, 3, 4),
            "reviewed": date(2021, 1, 2),
            "url": "https://clinic.example/h",
            "license": "CC BY-SA 4.0",
            "language": "en-US",
        }

    def test_json_ld(self) -> None:
        """This ensures that JSON-LD is read, references included, and that a modification is no review."""
        html = """<title>T</title><script type="application/ld+json">{"@graph": [
        {"@type": "Organization", "@id": "#o", "name": "Health Board"},
        {"@type": "MedicalWebPage", "publisher": {"@id": "#o"}, "lastReviewed": "2020-05-06", "inLanguage": "es"},
        {"@type": ["NewsArticle"], "datePublished": "2018-02-03", "dateModified": "2022-02-03",
         "author": [{"name": "A"}, {"name": "B"}]}]}</script><p>x"""

        assert read(html).metadata == {
            "title": "T",
            "publisher": "Health Board",
            "authors": ("A", "B"),
            "published": date(2018, 2, 3),
            "reviewed": date(2020, 5, 6),
            "language": "es",
        }

    @pytest.mark.parametrize(
        "head",
        [
            "<meta property='article:published_time' content='last spring'>",
            "<meta property='article:published_time' content='2019-02-31'>",
            "<meta property='article:published_time' content='2019'>",
            "<link rel=canonical href='javascript:alert(1)'>",
            "<link rel=canonical href='/relative'>",
            "<meta name=author content='https://facebook.example/x'>",
            "<html lang='not a language'>",
            "<script type='application/ld+json'>{broken</script>",
            "<script type='application/ld+json'>" + "[" * 100_000 + "</script>",
            "<script type='application/ld+json'>[{'@type': 7}]</script>",
            '<script type="application/ld+json">{"@type":"Article","author":{"@id":{}},"publisher":[[]]}</script>',
        ],
    )
    def test_invalid_values_are_left_out(self, head: str) -> None:
        """This ensures that no value is taken that does not validate."""
        assert read(f"{head}<p>x").metadata == {}

    @pytest.mark.parametrize(
        ("html", "title"),
        [
            ("<title>Heroin | Site</title><h1>Heroin</h1>", "Heroin"),
            ("<title>Something else</title><h1>Heroin</h1>", "Something else"),
            ("<h1>Heroin</h1>", "Heroin"),
            ("<title>Page - Board</title><meta property=og:site_name content=Board><p>x", "Page"),
            ("<title>  </title><p>x", None),
            ("<svg><title>icon</title></svg><p>x", None),
        ],
    )
    def test_title(self, html: str, title: str | None) -> None:
        """This ensures that the site's name is not taken for a part of the title."""
        assert read(html).metadata.get("title") == title

"""From a template to a mail: blocks, languages, overrides, and what must be refused."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from mailflow.adapters.render import Block, Renderer, quoted, split_blocks
from mailflow.adapters.sample import NOW, sample_context
from mailflow.core.decisions import NoticeKind
from mailflow.errors import ConfigError

WORDS = '[formats]\nmoment = "y-MM-dd HH:mm"\nday = "y-MM-dd"\nhour = "HH:mm"\n'
HELLO = "Subject: Hello\n\nHello {{ reader.name }}.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of templates as an operator has it, still empty."""
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def render_held(folder: Path, source: str, **changes: Any) -> str:
    """Render `source` in place of the English `held.txt`; return its text."""
    write(folder, "en/held.txt", source)
    context = {**sample_context(NoticeKind.HELD), **changes}
    return Renderer(folder, "Europe/Paris").render(NoticeKind.HELD, "en", context).text


# --- blocks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("", ()),
        ("\n\n\n", ()),
        ("Hello,\n", (Block("paragraph", ("Hello,",)),)),
        ("One\nTwo\n\nThree", (Block("paragraph", ("One", "Two")), Block("paragraph", ("Three",)))),
        ("One\n \t\nTwo", (Block("paragraph", ("One",)), Block("paragraph", ("Two",)))),
        ("- a\n- b: c", (Block("list", ("a", "b: c")),)),
        ("- a\nb", (Block("paragraph", ("- a", "b")),)),
        ("> a\n>\n> b", (Block("quote", ("a", "", "b")),)),
        (">a\n>> b", (Block("quote", ("a", "> b")),)),
        ("> a\nb", (Block("paragraph", ("> a", "b")),)),
        ("A: 1\nB: 2", (Block("table", (("A", "1"), ("B", "2"))),)),
        ("A: 1", (Block("paragraph", ("A: 1",)),)),
        ("A: 1\nB", (Block("paragraph", ("A: 1", "B")),)),
        ("A: 1\nB:", (Block("paragraph", ("A: 1", "B:")),)),
        ("A: x: y\nB: http://z", (Block("table", (("A", "x: y"), ("B", "http://z"))),)),
        ("http://a\nhttp://b", (Block("paragraph", ("http://a", "http://b")),)),
        (f"{'A' * 41}: 1\nB: 2", (Block("paragraph", (f"{'A' * 41}: 1", "B: 2")),)),
        ("Référence\u00a0: 1\nÉtat : 2", (Block("table", (("Référence", "1"), ("État", "2"))),)),
        ("Délai\u202f: 1\nÉtat\u00a0: 2", (Block("table", (("Délai", "1"), ("État", "2"))),)),
        ("<b>: 1\nB: <i>", (Block("paragraph", ("<b>: 1", "B: <i>")),)),
    ],
)
def test_text_is_split_into_blocks(text: str, blocks: tuple[Block, ...]) -> None:
    assert split_blocks(text) == blocks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "> a"),
        ("a\n\nb", "> a\n>\n> b"),
        ("\n a \n", "> a"),
        ("> a", "> > a"),
        ("a\r\nb\u2028c", "> a\n> b\n> c"),
        ("", ""),
    ],
)
def test_quoted_puts_a_mark_before_each_line(text: str, expected: str) -> None:
    assert quoted(text) == expected


# --- what a template gives ------------------------------------------------------------------


def test_first_line_is_the_subject_and_the_rest_the_text(folder: Path) -> None:
    write(folder, "en/held.txt", "Subject:  A {{ support.name }} \n\n\nOne\n\n\n\nTwo\n\n")
    rendered = Renderer(folder, "Europe/Paris").render(
        "held", "en", sample_context(NoticeKind.HELD)
    )
    assert rendered.subject == "A Support"
    assert rendered.text == "One\n\nTwo\n"


def test_instants_are_told_in_the_desks_zone(folder: Path) -> None:
    source = "Subject: x\n\n{{ moment(now) }} / {{ day(now) }} / {{ hour(now) }}\n"
    write(folder, "en/held.txt", source)
    context = {**sample_context(NoticeKind.HELD), "now": datetime(2026, 3, 31, 22, 30, tzinfo=UTC)}
    told = {
        zone: Renderer(folder, zone).render("held", "en", context).text.strip()
        for zone in ("Europe/Paris", "Europe/London")
    }
    assert told == {
        "Europe/Paris": "Wednesday 1 April 2026 at 00:30 (Paris time) / "
        "Wednesday 1 April 2026 / 00:30",
        "Europe/London": "Tuesday 31 March 2026 at 23:30 (London time) / "
        "Tuesday 31 March 2026 / 23:30",
    }


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (
            datetime(2026, 3, 1, 8, 5, tzinfo=UTC),
            "dimanche 1er mars 2026 à 9 h 05 (heure de Paris)",
        ),
        (
            datetime(2026, 3, 11, 0, 0, tzinfo=UTC),
            "mercredi 11 mars 2026 à 1 h 00 (heure de Paris)",
        ),
        (
            datetime(2026, 7, 31, 23, 1, tzinfo=UTC),
            "samedi 1er août 2026 à 1 h 01 (heure de Paris)",
        ),
        (
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
            "dimanche 25 octobre 2026 à 2 h 30 (heure de Paris)",
        ),
    ],
)
def test_french_dates_are_written_as_french_writes_them(instant: datetime, expected: str) -> None:
    moment = Renderer(None, "Europe/Paris").moment(instant, "fr")
    assert moment.replace("\u00a0", " ") == expected
    assert "\u00a0h\u00a0" in moment


def test_a_day_may_be_a_date_without_time(folder: Path) -> None:
    text = render_held(folder, "Subject: x\n\n{{ day(now) }}\n", now=date(2026, 3, 5))
    assert text == "Thursday 5 March 2026\n"


# --- overrides and languages ----------------------------------------------------------------


def test_a_folder_overrides_file_by_file(folder: Path) -> None:
    write(folder, "en/held.txt", HELLO)
    renderer = Renderer(folder, "Europe/Paris")
    context = sample_context(NoticeKind.HELD)
    assert renderer.render("held", "en", context).text == "Hello Claire Martin.\n"
    assert "Nous avons bien reçu" in renderer.render("held", "fr", context).text
    context = sample_context(NoticeKind.UNREADABLE)
    assert "encrypted" in renderer.render("unreadable", "en", context).text


def test_overridden_words_replace_the_shipped_ones(folder: Path) -> None:
    write(folder, "en/words.toml", WORDS)
    renderer = Renderer(folder, "Europe/Paris")
    assert renderer.moment(NOW, "en") == "2026-03-02 10:15"
    assert renderer.words("en") == {
        "formats": {"moment": "y-MM-dd HH:mm", "day": "y-MM-dd", "hour": "HH:mm"}
    }
    assert "lundi" in renderer.moment(NOW, "fr")


def test_a_language_is_a_folder_with_its_words(folder: Path) -> None:
    write(folder, "de/words.toml", WORDS.replace("y-MM-dd HH:mm", "EEEE, d. MMMM y, HH:mm"))
    write(folder, "de/held.txt", "Subject: {{ thread_subject }}\n\nGuten Tag, {{ moment(now) }}\n")
    renderer = Renderer(folder, "Europe/Paris")
    assert renderer.languages == {"fr", "en", "de"}
    rendered = renderer.render("held", "de", sample_context(NoticeKind.HELD))
    assert rendered.text == "Guten Tag, Montag, 2. März 2026, 10:15\n"
    assert '<html lang="de">' in rendered.html


def test_a_folder_without_words_is_no_language(folder: Path) -> None:
    write(folder, "de/held.txt", HELLO)
    renderer = Renderer(folder, "Europe/Paris")
    assert renderer.languages == {"fr", "en"}
    with pytest.raises(ConfigError, match=r"templates/de: there is no such folder"):
        renderer.render("held", "de", sample_context(NoticeKind.HELD))


def test_a_missing_folder_means_the_shipped_templates(folder: Path) -> None:
    renderer = Renderer(folder / "nowhere", "Europe/Paris")
    assert renderer.render("held", "en", sample_context(NoticeKind.HELD)).text.startswith("Hello,")


def test_an_own_html_template_takes_the_place_of_the_layout(folder: Path) -> None:
    write(folder, "en/held.html", "<p>{{ subject }} | {{ client_text }} | {{ hour(now) }}</p>")
    context = {**sample_context(NoticeKind.HELD), "client_text": "<script>"}
    html = Renderer(folder, "Europe/Paris").render("held", "en", context).html
    assert html.endswith("| &lt;script&gt; | 10:15</p>")


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("Hello\n", r"templates/en/held\.txt: the first line must begin with 'Subject:'"),
        ("", r"templates/en/held\.txt: the first line must begin with 'Subject:'"),
        ("Subject: x\n\n{{ nobody }}\n", r"templates/en/held\.txt.*'nobody' is undefined"),
        ("Subject: x\n\n{{ ticket.colour }}\n", r"templates/en/held\.txt.*colour"),
        ("Subject: x\n\n{% if %}\n", r"templates/en/held\.txt, line 3: TemplateSyntaxError"),
        ("Subject: x\n\n{{ x | unknown }}\n", r"templates/en/held\.txt.*unknown"),
        ("Subject: x\n\n{{ moment(none) }}\n", r"templates/en/held\.txt.*moment\(\) needs a date"),
        ("Subject: x\n\n{{ day('2026-03-02') }}\n", r"templates/en/held\.txt.*needs a date"),
        ("Subject: x\n\n{{ none | quoted }}\n", r"templates/en/held\.txt: AttributeError"),
        ("Subject: x\n\n{{ 1 // 0 }}\n", r"templates/en/held\.txt: ZeroDivisionError"),
        ("Subject: x\n\n{% include 'en/gone.txt' %}\n", r"templates/en/gone\.txt: is missing"),
        ("Subject: x\n\n{{ ''.__class__.__mro__ }}\n", r"templates/en/held\.txt.*SecurityError"),
        ("Subject: x\n\n{{ data.update({'a': 1}) }}\n", r"templates/en/held\.txt.*SecurityError"),
    ],
)
def test_a_bad_template_is_refused_by_name(folder: Path, source: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        render_held(folder, source)


def test_a_missing_template_is_refused_by_name(folder: Path) -> None:
    write(folder, "de/words.toml", WORDS)
    with pytest.raises(ConfigError, match=r"templates/de/held\.txt: is missing"):
        Renderer(folder, "Europe/Paris").render("held", "de", sample_context(NoticeKind.HELD))


def test_a_broken_layout_is_refused_by_its_own_name(folder: Path) -> None:
    write(folder, "layout.html", "<p>\n{% for %}")
    with pytest.raises(ConfigError, match=r"templates/layout\.html, line 2: TemplateSyntaxError"):
        Renderer(folder, "Europe/Paris").render("held", "en", sample_context(NoticeKind.HELD))


def test_a_template_in_another_charset_is_refused(folder: Path) -> None:
    (folder / "en").mkdir()
    (folder / "en" / "held.txt").write_bytes("Subject: x\n\nCaf\xe9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"templates/en/held\.txt: UnicodeDecodeError"):
        Renderer(folder, "Europe/Paris").render("held", "en", sample_context(NoticeKind.HELD))


def test_broken_words_are_refused_at_start(folder: Path) -> None:
    write(folder, "en/words.toml", "[formats\n")
    with pytest.raises(ConfigError, match=r"words\.toml: is not valid TOML"):
        Renderer(folder, "Europe/Paris")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", r"templates/xx/held\.txt: KeyError: 'formats'"),
        ("[formats]\nday = 'y'\n", r"templates/xx/held\.txt: KeyError: 'moment'"),
        (WORDS, r"templates/xx/held\.txt: UnknownLocaleError"),
    ],
)
def test_words_without_dates_are_refused(folder: Path, words: str, message: str) -> None:
    write(folder, "xx/words.toml", words)
    write(folder, "xx/held.txt", "Subject: x\n\n{{ moment(now) }}\n")
    with pytest.raises(ConfigError, match=message):
        Renderer(folder, "Europe/Paris").render("held", "xx", sample_context(NoticeKind.HELD))


# --- what a client writes stays text --------------------------------------------------------

HOSTILE = [
    "{{ support.address }}",
    "{% for x in range(9) %}x{% endfor %}",
    "{# gone #}",
    "<script>alert(1)</script>",
    "<img src=http://evil.example/pixel.png>",
    "</blockquote><a href='http://evil.example/'>here</a>",
    'x" onmouseover="alert(1)',
    "&lt;b&gt; &amp; &#60;",
]


def hostile_context(kind: NoticeKind, text: str) -> dict[str, Any]:
    """A context in which all that clients and outsiders can write is `text`."""
    context = sample_context(kind)
    context["ticket"].update(subject=text, summary=text, requester_name=text, organisation=text)
    context["ticket"].update(contact={"name": text, "telephone": text}, review=[text])
    context["findings"] = [{"name": "kind", "value": "problem", "confidence": 1.0, "words": [text]}]
    data = {"text": text, "question": text, "reason": text}
    context["data"] = {**context["data"], **{k: v for k, v in data.items() if k in context["data"]}}
    return {
        **context,
        "mail_subject": text,
        "client_text": text,
        "thread_subject": f"Re: {text}",
        "reader": {"name": text, "address": "a@b.example"},
    }


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize(
    "kind",
    [NoticeKind.REGISTRATION, NoticeKind.AGENT_NEW, NoticeKind.AGENT_REVIEW, NoticeKind.WAITING],
)
def test_client_text_is_never_a_template_and_is_escaped(
    kind: NoticeKind, language: str, text: str
) -> None:
    context = hostile_context(kind, text)
    rendered = Renderer(None, "Europe/Paris").render(kind, language, context)
    assert rendered.subject == f"Re: {text}"
    assert text in rendered.text
    tree = LexborHTMLParser(rendered.html)
    assert {node.tag for node in tree.css("*")} <= {
        "html", "head", "meta", "title", "body", "div", "p", "br", "table", "tbody", "tr", "th",
        "td", "ul", "li", "blockquote",
    }  # fmt: skip
    assert text in tree.body.text()
    allowed = {
        "lang", "style", "dir", "align", "valign", "scope", "cellpadding", "cellspacing", "border",
    }  # fmt: skip
    assert {name for node in tree.css("body *") for name in node.attributes} <= allowed


def test_html_asks_nothing_of_any_server() -> None:
    renderer = Renderer(None, "Europe/Paris")
    for kind in (NoticeKind.REGISTRATION, NoticeKind.AGENT_NEW):
        html = renderer.render(kind, "fr", sample_context(kind)).html
        assert not re.search(r"https?:|//|url\(|@import|<(?:img|link|script|style|iframe)", html)


def test_html_shows_the_blocks_of_the_text() -> None:
    context = sample_context(NoticeKind.AGENT_NEW)
    rendered = Renderer(None, "Europe/Paris").render(NoticeKind.AGENT_NEW, "en", context)
    tree = LexborHTMLParser(rendered.html)
    assert tree.css_first("html").attributes["lang"] == "en"
    assert tree.css_first("title").text() == rendered.subject
    rows = {row.css_first("th").text(): row.css_first("td").text() for row in tree.css("tr")}
    assert rows["Reference"] == "MF-2026-000123"
    assert rows["Due before"] == "Wednesday 4 March 2026 at 10:15 (Paris time)"
    assert all(each.attributes["scope"] == "row" for each in tree.css("th"))
    assert "<b>1 < 2 & 3</b>" in tree.css_first("blockquote").text()
    assert len(tree.css("ul")) == 3  # to validate, findings, commands
    shown = " ".join(tree.body.text().split())
    for block in split_blocks(rendered.text):
        for line in block.lines:
            words = line if isinstance(line, str) else " ".join(line)
            for part in [words] if isinstance(line, str) else line:
                assert " ".join(part.split()) in shown, words

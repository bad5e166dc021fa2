"""Turn a notice into subject, plain text and HTML, from the templates of the reader's language.

`templates/LANGUAGE/KIND.txt` begins with a line `Subject: …`, then a blank line, then the text.
The HTML follows from the text through `templates/layout.html`, or comes from
`templates/LANGUAGE/KIND.html` where an operator wants more. `templates/LANGUAGE/words.toml`
holds the names of priorities, items and states, and the formats of dates.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.core import UnknownLocaleError
from babel.dates import format_datetime
from jinja2 import (
    ChoiceLoader,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateNotFound,
)
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mailflow.core.decisions import NoticeKind
from mailflow.data import find_data_file, shipped_folder
from mailflow.errors import ConfigError

SUBJECT_LINE = "Subject:"
MOST_PIECES = 8  # of a line of the program that are looked up together with what follows

_TEMPLATE_FAULTS = (
    TemplateError, UnknownLocaleError, ArithmeticError, AttributeError, LookupError, TypeError,
    ValueError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's words, before it becomes a mail."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a text mail, as the HTML layout shows it."""

    form: str  # paragraph, list, table, quote
    lines: tuple[Any, ...]


class Renderer:
    """The templates of all languages, compiled once."""

    def __init__(self, folder: Path | None, timezone: str) -> None:
        self._folder = folder
        self._zone = ZoneInfo(timezone)
        places = [place for place in (folder, shipped_folder("templates")) if place is not None]
        loader = ChoiceLoader([FileSystemLoader(place) for place in places])
        self._text = ImmutableSandboxedEnvironment(
            loader=loader,
            undefined=StrictUndefined,
            autoescape=False,  # plain text; the HTML environment escapes
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,  # read once, as words.toml is
        )
        self._html = ImmutableSandboxedEnvironment(
            loader=loader, undefined=StrictUndefined, autoescape=True, auto_reload=False
        )
        self._html_templates: dict[str, Template] = {}
        self.languages = _find_languages(places)
        self._words = {name: _load_words(folder, name) for name in sorted(self.languages)}
        for environment in (self._text, self._html):
            environment.filters["quoted"] = quoted

    def words(self, language: str) -> Mapping[str, Any]:
        """Return the tables of `words.toml` for `language`."""
        return self._words[language]

    def render(self, kind: NoticeKind | str, language: str, context: Mapping[str, Any]) -> Rendered:
        """Return the mail's words.

        Raises ConfigError naming the template when it is missing, broken, or uses a name that
        does not exist. Client text in `context` is data: it is never read as a template.
        """
        if language not in self.languages:
            raise ConfigError(f"templates/{language}: there is no such folder with a words.toml")
        name = f"{language}/{kind}.txt"
        words = self._words[language]
        full = {
            **context,
            "words": words,
            "language": language,
            "told": lambda text, between: tell(text, words, between),
            "moment": lambda value: self.moment(value, language),
            "day": lambda value: self._format(value, language, "day"),
            "hour": lambda value: self._format(value, language, "hour"),
        }
        try:
            source = self._text.get_template(name).render(full)
            subject, text = _split(name, source)
            html = self._render_html(f"{language}/{kind}.html", text, {**full, "subject": subject})
        except TemplateNotFound as error:
            raise ConfigError(f"templates/{error.name}: is missing") from error
        except _TEMPLATE_FAULTS as error:
            line = getattr(error, "lineno", None)
            faulty = error.name if isinstance(error, TemplateSyntaxError) else None
            place = f"templates/{faulty or name}" + (f", line {line}" if line else "")
            raise ConfigError(f"{place}: {type(error).__name__}: {error}") from error
        return Rendered(subject, text, html)

    def moment(self, value: datetime, language: str) -> str:
        """Return an instant in words, in the desk's zone."""
        return self._format(value, language, "moment")

    def _format(self, value: datetime, language: str, form: str) -> str:
        if not isinstance(value, date):  # babel would take None for the present moment
            raise TypeError(f"{form}() needs a date, got {value!r}")
        formats = self._words[language]["formats"]
        text = format_datetime(value, formats[form], tzinfo=self._zone, locale=language)
        for old, new in formats.get("replace", {}).items():
            text = text.replace(old, new)
        return text

    def _render_html(self, name: str, text: str, context: Mapping[str, Any]) -> str:
        template = self._html_templates.get(name)
        if template is None:
            template = self._html.select_template([name, "layout.html"])
            self._html_templates[name] = template
        return template.render({**context, "text": text, "blocks": split_blocks(text)})


def quoted(text: str) -> str:
    """Return `text` with '> ' before each line, as a mail quotes another."""
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


_ROW = re.compile(r"^(?P<label>[^:\n>]{1,40}?)[ \u00a0\u202f]?: (?P<value>\S.*)$")


def tell(text: str, words: Mapping[str, Any], between: str = ": ") -> str:
    """Return a line of the program in the reader's words, on one line.

    `words['reasons']` knows it whole, with `{}` for each name or number in it, or knows the
    pieces between its colons; a piece that it does not know stays as it is. `between` is what
    the language writes between the pieces.
    """
    known: Mapping[str, str] = words.get("reasons", {})
    rest, colon = " ".join(text.split()), ": "
    told: list[str] = []
    while colon:
        whole = _tell_whole(rest, known) if len(told) < MOST_PIECES else None
        if whole is not None:
            return between.join([*told, whole])
        piece, colon, rest = rest.partition(": ")
        told.append(known.get(piece) or _tell_whole(piece, known) or piece)
    return between.join(told)


def _tell_whole(line: str, known: Mapping[str, str]) -> str | None:
    if line in known:
        return known[line]
    for pattern, meaning in known.items():
        if "{}" not in pattern:
            continue
        found = re.fullmatch(re.escape(pattern).replace(r"\{\}", "(.+?)"), line)
        if found is not None:
            told = meaning
            for part in found.groups():
                told = told.replace("{}", known.get(part, part).replace("{}", ""), 1)
            return told
    return None


def split_blocks(text: str) -> tuple[Block, ...]:
    """Split a text mail into paragraphs, lists ('- '), tables ('label: value') and quotes ('>')."""
    blocks: list[Block] = []
    for piece in re.split(r"\n[ \t]*\n", text.strip("\n")):
        lines = [line.rstrip() for line in piece.splitlines() if line.strip()]
        rows = [_ROW.match(line) for line in lines]
        if not lines:
            continue
        if all(line.startswith(">") for line in lines):
            blocks.append(Block("quote", tuple(line[1:].removeprefix(" ") for line in lines)))
        elif all(line.startswith("- ") for line in lines):
            blocks.append(Block("list", tuple(line[2:] for line in lines)))
        elif len(lines) > 1 and all(rows):
            pairs = tuple((row["label"], row["value"]) for row in rows if row is not None)
            blocks.append(Block("table", pairs))
        else:
            blocks.append(Block("paragraph", tuple(lines)))
    return tuple(blocks)


def _split(name: str, source: str) -> tuple[str, str]:
    first, _, rest = source.lstrip("\n").partition("\n")
    if not first.startswith(SUBJECT_LINE):
        raise ConfigError(f"templates/{name}: the first line must begin with '{SUBJECT_LINE}'")
    text = re.sub(r"\n{3,}", "\n\n", rest.strip("\n"))
    return first.removeprefix(SUBJECT_LINE).strip(), text + "\n"


def _find_languages(places: list[Path]) -> frozenset[str]:
    return frozenset(
        file.parent.name
        for place in places
        if place.is_dir()
        for file in place.glob("*/words.toml")
    )


def _load_words(folder: Path | None, language: str) -> dict[str, Any]:
    file = find_data_file("templates", f"{language}/words.toml", folder)
    if file is None:
        raise ConfigError(f"templates/{language}/words.toml: is missing")
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not valid TOML: {error}") from error

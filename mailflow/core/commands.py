"""What an agent wrote above the quote: commands at the top, the rest for the client.

A command is a line that begins with '#'. English and French count, accents and case do not, and
a slip of one letter is forgiven where it leaves no doubt. A line that merely looks like one, such
as '#1 of the list', is text.

What is meant for colleagues must not reach the client by a slip of the pen: `#note` is understood
wherever it stands and almost however it is spelt, and a command below the text is taken out of it.
"""

import difflib
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum


class Verb(StrEnum):
    """What an agent can order."""

    PRIORITY = "priority"
    VALIDATE = "validate"
    ASK = "ask"
    WAIT = "wait"
    WORKAROUND = "workaround"
    RESOLVE = "resolve"
    CLOSE = "close"
    REOPEN = "reopen"
    ASSIGN = "assign"
    NOTE = "note"
    EXCLUDE = "exclude"
    INCLUDE = "include"
    MERGE = "merge"
    SPLIT = "split"
    LINK = "link"
    SPAM = "spam"
    ALLOW = "allow"


_WORDS: dict[str, Verb] = {verb.value: verb for verb in Verb} | {
    "priorite": Verb.PRIORITY,
    "prio": Verb.PRIORITY,
    "p": Verb.PRIORITY,
    "valider": Verb.VALIDATE,
    "valide": Verb.VALIDATE,
    "demander": Verb.ASK,
    "demande": Verb.ASK,
    "attente": Verb.WAIT,
    "attendre": Verb.WAIT,
    "contournement": Verb.WORKAROUND,
    "contourner": Verb.WORKAROUND,
    "resoudre": Verb.RESOLVE,
    "resolu": Verb.RESOLVE,
    "resolved": Verb.RESOLVE,
    "clore": Verb.CLOSE,
    "cloturer": Verb.CLOSE,
    "fermer": Verb.CLOSE,
    "rouvrir": Verb.REOPEN,
    "affecter": Verb.ASSIGN,
    "assigner": Verb.ASSIGN,
    "noter": Verb.NOTE,
    "exclure": Verb.EXCLUDE,
    "inclure": Verb.INCLUDE,
    "fusionner": Verb.MERGE,
    "scinder": Verb.SPLIT,
    "lier": Verb.LINK,
    "indesirable": Verb.SPAM,
    "autoriser": Verb.ALLOW,
}

ITEMS: dict[str, str] = {
    "description": "description",
    "desc": "description",
    "feature": "feature",
    "function": "feature",
    "fonctionnalite": "feature",
    "fonction": "feature",
    "steps": "steps",
    "step": "steps",
    "etapes": "steps",
    "etape": "steps",
    "error": "error_message",
    "error_message": "error_message",
    "message": "error_message",
    "erreur": "error_message",
}
_SMALL_WORDS = frozenset(
    {"and", "et", "the", "le", "la", "les", "l", "d", "de", "du", "&", "+", ""}
)

EXCLUSIONS: dict[str, str] = {
    "configuration": "configuration",
    "parametrage": "configuration",
    "parametrages": "configuration",
    "config": "configuration",
    "third_party": "third_party",
    "third-party": "third_party",
    "thirdparty": "third_party",
    "tiers": "third_party",
    "materiel": "third_party",
    "training": "training",
    "formation": "training",
    "client_modification": "client_modification",
    "modification": "client_modification",
    "client": "client_modification",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One order. `argument` is its first words as needed, `reason` what follows."""

    verb: Verb
    line: str
    argument: str = ""
    reason: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Orders:
    """A reply taken apart: commands, lines that could not be read, note, answer to the client."""

    commands: tuple[Command, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()  # the line, and what to write instead
    note: str = ""
    answer: str = ""

    @property
    def has_commands(self) -> bool:
        """Whether a transcript is owed."""
        return bool(self.commands or self.unknown or self.note)


_LINE = re.compile(r"[#＃]\s*(?P<word>[^\W\d_]+(?:-[^\W\d_]+)*)\s*:?\s*(?P<rest>.*)", re.DOTALL)
_UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"  # programs put them before text


def fold(word: str) -> str:
    """Return `word` without accents, in lower case."""
    plain = unicodedata.normalize("NFKD", word)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def parse_orders(text: str) -> Orders:
    """Take an agent's new text apart. Only lines at the top are commands; text ends them.

    After `#note` everything is internal: nothing of it is an answer, even lines with '#'. That
    holds below the text too; any other command there is refused and kept from the client.
    """
    commands: list[Command] = []
    unknown: list[tuple[str, str]] = []
    lines = text.strip().splitlines()
    for index, raw in enumerate(lines):
        line = _plain_line(raw)
        if not line:
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            answer, late, note = _answer_and_note(lines[index:])
            return Orders(tuple(commands), (*unknown, *late), note, answer)
        verb = find_verb(found["word"])
        if verb is Verb.NOTE:
            note = "\n".join([found["rest"], *lines[index + 1 :]]).strip()
            return Orders(tuple(commands), tuple(unknown), note, "")
        if verb is None:
            unknown.append((line, _suggest(found["word"])))
            continue
        try:
            commands.append(_command(verb, line, found["rest"].strip()))
        except ValueError as error:
            unknown.append((line, str(error)))
    return Orders(tuple(commands), tuple(unknown))


def _plain_line(raw: str) -> str:
    return unicodedata.normalize("NFC", raw.strip().lstrip(_UNSEEN).strip())


def _answer_and_note(lines: list[str]) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """Part the text for the client from commands that stand too low, and from a note."""
    kept: list[str] = []
    late: list[tuple[str, str]] = []
    note = ""
    for index, raw in enumerate(lines):
        line = _plain_line(raw)
        found = _LINE.fullmatch(line)
        verb = _WORDS.get(fold(found["word"])) if found else None
        if found is None or verb is None:
            kept.append(raw)
        elif verb is Verb.NOTE:
            note = "\n".join([found["rest"], *lines[index + 1 :]]).strip()
            break
        else:
            late.append((line, "commands stand at the top, above the text for the client"))
    return "\n".join(kept).strip(), tuple(late), note


def find_verb(word: str) -> Verb | None:
    """Return the verb meant by `word`, forgiving one slip in a longer word; None if unsure.

    What might be `note` is one: it changes nothing, while a note taken for text is shown.
    """
    folded = fold(word)
    if folded in _WORDS:
        return _WORDS[folded]
    if difflib.get_close_matches(folded, ("note",), cutoff=0.75):
        return Verb.NOTE
    close = difflib.get_close_matches(folded, _WORDS, n=3, cutoff=0.8) if len(folded) > 4 else []
    meant = {_WORDS[each] for each in close}
    return meant.pop() if len(meant) == 1 else None


def _suggest(word: str) -> str:
    close = difflib.get_close_matches(fold(word), _WORDS, n=1, cutoff=0.5)
    return f"did you mean #{close[0]}?" if close else "known: " + ", ".join(f"#{v}" for v in Verb)


def _command(verb: Verb, line: str, rest: str) -> Command:
    rest = rest if any(letter.isalnum() for letter in rest) else ""
    words = tuple(rest.split())
    head, tail = (words[0], rest[len(words[0]) :].strip()) if words else ("", "")
    if verb is Verb.PRIORITY:
        level = re.fullmatch(r"[pP]?([1-4])[,.;:]?", head)
        if level is None:
            raise ValueError("expected a level from 1 to 4, such as #priority 2 reason")
        return Command(verb, line, level[1], tail.lstrip("-–—:, "))
    if verb is Verb.ASK:
        return _ask(line, rest, words)
    if verb is Verb.EXCLUDE:
        which = EXCLUSIONS.get(fold(head), "")
        if not which:
            known = "configuration, third_party, training, client_modification"
            raise ValueError(f"expected one of {known}, such as #exclude training")
        return Command(verb, line, which, tail)
    if verb in (Verb.ASSIGN, Verb.MERGE, Verb.LINK, Verb.ALLOW) and not rest:
        raise ValueError(f"expected a name or reference after #{verb.value}")
    if verb in (Verb.MERGE, Verb.LINK, Verb.ALLOW):
        return Command(verb, line, head.strip("[](){}<>.,;:#"), tail)
    return Command(verb, line, rest, rest, words)


def _ask(line: str, rest: str, words: tuple[str, ...]) -> Command:
    """Read what to ask for: named items, a question in words, or items and a question."""
    found = [(word, _find_item(word)) for word in words]
    telling = [item for word, item in found if _bare(word) not in _SMALL_WORDS]
    if not telling or telling[0] is None:
        return Command(Verb.ASK, line, "", rest)
    named = tuple(dict.fromkeys(item for item in telling if item is not None))
    return Command(Verb.ASK, line, " ".join(named), rest if "?" in rest else "", named)


def _bare(word: str) -> str:
    return re.sub(r"^[ld]['’]", "", fold(word)).strip(",;.:?!()")


def _find_item(word: str) -> str | None:
    bare = _bare(word)
    close = difflib.get_close_matches(bare, ITEMS, n=1, cutoff=0.8) if len(bare) > 3 else []
    return ITEMS.get(bare) or (ITEMS[close[0]] if close else None)

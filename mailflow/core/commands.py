"""What an agent wrote above the quote: commands at the top, the rest for the client.

A command is a line that begins with '#'. English and French count, accents and case do not, and
a slip of one letter is forgiven where it leaves no doubt. A line that merely looks like one, such
as '#1 of the list', is text.
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


_LINE = re.compile(r"^[#＃]\s?(?P<word>[^\W\d_][\w-]*)\s*:?\s*(?P<rest>.*)$")


def fold(word: str) -> str:
    """Return `word` without accents, in lower case."""
    plain = unicodedata.normalize("NFKD", word)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def parse_orders(text: str) -> Orders:
    """Take an agent's new text apart. Only lines at the top are commands; text ends them.

    After `#note` everything is internal: nothing of it is an answer, even lines with '#'.
    """
    commands: list[Command] = []
    unknown: list[tuple[str, str]] = []
    lines = text.strip().splitlines()
    for index, raw in enumerate(lines):
        line = raw.strip()
        if not line:
            continue
        found = _LINE.match(line)
        if found is None:
            return Orders(tuple(commands), tuple(unknown), "", "\n".join(lines[index:]).strip())
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


def find_verb(word: str) -> Verb | None:
    """Return the verb meant by `word`, forgiving one slip in a longer word; None if unsure."""
    folded = fold(word)
    if folded in _WORDS:
        return _WORDS[folded]
    close = difflib.get_close_matches(folded, _WORDS, n=3, cutoff=0.8) if len(folded) > 4 else []
    meant = {_WORDS[each] for each in close}
    return meant.pop() if len(meant) == 1 else None


def _suggest(word: str) -> str:
    close = difflib.get_close_matches(fold(word), _WORDS, n=1, cutoff=0.5)
    return f"did you mean #{close[0]}?" if close else "known: " + ", ".join(f"#{v}" for v in Verb)


def _command(verb: Verb, line: str, rest: str) -> Command:
    words = tuple(rest.split())
    head, tail = (words[0], rest[len(words[0]) :].strip()) if words else ("", "")
    if verb is Verb.PRIORITY:
        level = re.fullmatch(r"[pP]?([1-4])[,.;:]?", head)
        if level is None:
            raise ValueError("expected a level from 1 to 4, such as #priority 2 reason")
        return Command(verb, line, level[1], tail.lstrip("-–—:, "))
    if verb is Verb.ASK:
        items = tuple(ITEMS.get(fold(word.strip(",;")), "") for word in words)
        named = tuple(dict.fromkeys(item for item in items if item))
        if words and not named and items[0] == "":
            return Command(verb, line, "", rest)
        return Command(verb, line, " ".join(named), "", named)
    if verb is Verb.EXCLUDE:
        which = EXCLUSIONS.get(fold(head), "")
        if not which:
            known = "configuration, third_party, training, client_modification"
            raise ValueError(f"expected one of {known}, such as #exclude training")
        return Command(verb, line, which, tail)
    if verb in (Verb.ASSIGN, Verb.MERGE, Verb.LINK, Verb.ALLOW) and not rest:
        raise ValueError(f"expected a name or reference after #{verb.value}")
    if verb in (Verb.MERGE, Verb.LINK, Verb.ALLOW):
        return Command(verb, line, head, tail)
    return Command(verb, line, rest, rest, words)

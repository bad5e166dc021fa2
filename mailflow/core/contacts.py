"""A technical contact and a telephone number in a client's answer.

Asked for with a priority 1. Source: contract, 'le Client mettra à disposition son personnel
technique pour répondre à toute question'.
"""

import re
from dataclasses import dataclass

_REACH = 120  # characters between a name and its number, at most
_MOST_NUMBERS = 50
_NUMBER = re.compile(
    r"(?<![\w+/#.,-])(?P<number>\(?\+?\(?\d[\d() .\-\u00a0\u202f/]{5,24}\d)"
    r"(?![\w/€$£%]|[.,]\d|[ \u00a0\u202f]?(?:€|\$|£|%|EUR|euros?\b))"
)
_LOOSE_START = re.compile(r"\((?=[^)]*$)|\d{1,2}\)[ .]?(?=[^()]*$)")
_EXTENSION = re.compile(
    r"[ ,(]{0,3}(?:poste|ext\.?|extension|x)[ .:]{0,2}(\d{1,6})\b", re.IGNORECASE
)
_DATE = re.compile(
    r"(?:\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)\d{2}|(?:19|20)\d{2}[-/. ]\d{1,2}[-/. ]\d{1,2})\b.*"
)
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_OTHER_NUMBER_BEFORE = re.compile(
    r"(?:siret|siren|tva|vat|iban|bic|rcs|naf|commande|facture|invoice|order|ticket|dossier|client"
    r"|contrat|contract|case|ref|r[ée]f[ée]rence|version|montant|amount|total|code|id|ip|build"
    r"|fax|t[ée]l[ée]copie|s[ée]rie|serial|error|erreur)"
    r"(?: (?:no|number|num[ée]ro|client))?[ .:#=°]{0,4}(?:n[°o] ?)?$",
    re.IGNORECASE,
)
_PHONE_WORD = re.compile(
    r"\b(?:t[ée]l(?:[ée]phone)?s?|phone|mobile|portable|cell|gsm|direct|num[ée]ro|number"
    r"|au|joindre|joignable|appele[rz]|call|reach|on|at)[ .:]{0,4}(?:(?:le|is|est)\b)?[ .:]{0,3}$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_](?:[\w'’\-]*\w)?\.?")
_TITLES = frozenset("m. mr mr. mrs mrs. ms ms. mme mme. mlle mlle. monsieur madame dr dr.".split())  # noqa: SIM905
_PARTICLES = frozenset("de du des d' le la van von der den di da el al ben bin".split())  # noqa: SIM905
_ASKED_FOR = re.compile(
    r"(?:contacte[rz]|contact technique|technical contact|demande[rz]|ask for|appele[rz]|call"
    r"|joindre|reach|voir avec|interlocut(?:eur|rice))(?: (?:is|est|sera|will be))? ?:? ?$",
    re.IGNORECASE,
)
_NOT_A_NAME = frozenset(
    """
    bonjour hello hi dear cher chère cordialement regards merci thanks thank support contact
    contactez contacter appelez appeler call ask demandez joindre reach please technique technical
    telephone téléphone tél tél. tel tel. phone mobile portable numéro number fax standard lundi
    mardi mercredi jeudi vendredi samedi dimanche monday tuesday wednesday thursday friday saturday
    sunday janvier février mars avril mai juin juillet août septembre octobre novembre décembre
    january february march april may june july august september october november december notre nos
    our my mon ma votre your vous you the les nous we il elle je i ticket incident urgent re fwd tr
    service client responsable directeur manager administrateur administrator dsi it helpdesk paris
    lyon france sas sa sarl gmbh ltd inc ligne directe voici voilà here his her son sa ses oui non
    yes no ok matin midi soir morning afternoon
    """.split()  # noqa: SIM905 - a word list reads better so
)


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A telephone number: as written, with offsets, and as digits ('+33612345678' or national).

    `extension` is the digits after 'poste' or 'ext.', empty if none.
    """

    text: str
    digits: str
    start: int
    end: int
    extension: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to call. `name` is None where no name stands near the number."""

    name: str | None
    phone: PhoneNumber


def find_phones(text: str) -> tuple[PhoneNumber, ...]:
    """Return the telephone numbers in `text`, in order, fifty at most.

    French numbers have ten digits from 0, or +33 and nine; others begin with + or 00 and have 8
    to 15, or stand after a word such as 'phone'. Dates, amounts, SIRET, IP addresses, references
    and fax numbers are none.
    """
    found: list[PhoneNumber] = []
    for match in _NUMBER.finditer(text):
        start, written = match.start("number"), match["number"]
        if loose := _LOOSE_START.match(written):  # '(' of a remark, '1)' of a list
            start, written = start + loose.end(), written[loose.end() :]
        digits = _digits(written, text[max(0, start - 40) : start])
        if digits is not None:
            end = start + len(written)
            extra = _EXTENSION.match(text, end)
            found.append(PhoneNumber(written, digits, start, end, extra[1] if extra else ""))
            if len(found) == _MOST_NUMBERS:
                break
    return tuple(found)


def find_contact(text: str) -> Contact | None:
    """Return the first telephone number with a name near it, or None without a number.

    A name on the number's own line is preferred, then one before it, then one after it. Where
    no number has a name, the first number alone.
    """
    phones = find_phones(text)
    if not phones:
        return None
    named = [Contact(_find_name(text, phone), phone) for phone in phones]
    return next((each for each in named if each.name), named[0])


def _digits(written: str, before: str) -> str | None:
    """Return the digits of a telephone number, or None if it is something else."""
    bare = re.sub(r"\D", "", written)
    named = _PHONE_WORD.search(before) is not None
    if written.count("(") != written.count(")") or len(set(bare)) == 1:
        return None
    if _DATE.fullmatch(written) or _ADDRESS.fullmatch(written):
        return None
    if _OTHER_NUMBER_BEFORE.search(before) or ("/" in written and not named):
        return None
    if "+" in written or bare.startswith("00"):
        return _international(written)
    if re.fullmatch(r"0[1-9]\d{8}", bare) or (named and 7 <= len(bare) <= 11):
        return bare
    return None


def _international(written: str) -> str | None:
    number = re.sub(r"\D", "", written.replace("(0)", "")).removeprefix("00")
    if number.startswith("330"):
        number = "33" + number[3:]
    expected = range(11, 12) if number.startswith("33") else range(8, 16)
    return f"+{number}" if len(number) in expected else None


def _find_name(text: str, phone: PhoneNumber) -> str | None:
    """Return the name nearest to the number: on its line first, before it rather than after."""
    first, last = max(0, phone.start - _REACH), min(len(text), phone.end + _REACH)
    line_start = text.rfind("\n", first, phone.start) + 1 or first
    line_end = text.find("\n", phone.end, last)
    line_end = last if line_end < 0 else line_end
    for part, nearest in (
        (text[line_start : phone.start], -1),
        (text[phone.end : line_end], 0),
        (text[first:line_start], -1),
        (text[line_end:last], 0),
    ):
        names = _names(part)
        if names:
            return names[nearest]
    return None


def _names(part: str) -> list[str]:
    """Return the names in `part`: two capitalised words or more, one after a title or a request."""
    names: list[str] = []
    run: list[str] = []
    alone = False  # one word is enough for a name here
    last_end = 0
    for match in _WORD.finditer(part):
        word, gap = match.group(), part[last_end : match.start()]
        if gap.strip(" \t\u00a0"):
            names += _name_of(run, alone)
            run, alone = [], False
        last_end = match.end()
        bare = word.casefold()
        if bare in _TITLES:
            names += _name_of(run, alone)
            run, alone = [], True
        elif _goes_on(word, bool(run) or alone):
            alone = alone or (not run and bool(_ASKED_FOR.search(part[: match.start()])))
            run.append(word)
        else:
            names += _name_of(run, alone)
            run, alone = [], False
    return names + _name_of(run, alone)


def _goes_on(word: str, begun: bool) -> bool:
    """Say whether `word` may begin a name, or go on with one that has begun."""
    bare = word.casefold().rstrip(".")
    if bare in _PARTICLES:
        return begun
    return word[0].isupper() and bare not in _NOT_A_NAME


def _name_of(run: list[str], alone: bool) -> list[str]:
    while run and run[-1].casefold() in _PARTICLES:
        run = run[:-1]
    return [" ".join(run).rstrip(".")] if len(run) > 1 or (alone and run) else []

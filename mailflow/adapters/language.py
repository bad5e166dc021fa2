# ruff: noqa: E501 -- lists of words
"""The language of a text: by its commonest words first, by lingua where those do not settle it."""

import re
from functools import lru_cache
from typing import Any

MAX_TEXT = 3000

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_ADDRESS = re.compile(r"\S+@\S+|https?://\S+|www\.\S+")
_FUNCTION_WORDS = {
    "fr": "le la les de des du un une et est pas ne que qui pour dans sur avec nous vous je il elle "
    "mon ma mes votre vos notre ce cette ces au aux plus merci bonjour depuis mais avons avez suis "
    "j'ai n'est c'est d'un d'une qu'il l'application l'erreur peut peux pouvez être sont fait "
    "toujours cordialement quand lors lorsque puis afin aussi très bien tout tous message",
    "en": "the of and to is in that it for not on with as are this be have has was you your we our i "
    "can cannot when from please thanks thank hello hi dear but an or at by they my me do does did "
    "would could should which there been will if since any all just still how what regards",
    "de": "der die das und ist nicht ich wir sie mit für auf ein eine einen dem den von zu im es hat "
    "haben wird bei auch kann können bitte danke hallo guten aber wenn dass oder noch nur seit",
    "es": "el los las de que y en un una es por con no para su se lo como más pero sus le ya este sí "
    "porque esta son entre cuando muy sin sobre también hola gracias buenos días puedo tengo",
    "it": "il lo gli di che e un una è per con non del della dei delle sono si da al alla nel nella "
    "questo ho abbiamo come anche ma grazie buongiorno salve posso quando più perché ci mi",
    "nl": "de het een van en is niet dat ik we wij u te in op met voor zijn er maar om bij ook kan "
    "hebben heeft naar als wordt deze dit geen hallo bedankt beste graag wel nog",
    "pt": "o os as de do da dos das que e em um uma é não por com para se na no mais como mas foi ao "
    "ele está obrigado olá bom dia tenho posso quando também você seu sua muito isso",
}
_LANGUAGES_OF: dict[str, list[str]] = {}  # a function word → the languages that have it
for _code, _words in _FUNCTION_WORDS.items():
    for _word in frozenset(_words.split()):
        _LANGUAGES_OF.setdefault(_word, []).append(_code)
_SCRIPTS = (
    (re.compile("[\u3040-\u30ff]"), "ja"),
    (re.compile("[\uac00-\ud7af]"), "ko"),
    (re.compile("[\u4e00-\u9fff]"), "zh"),
    (re.compile("[\u0590-\u05ff]"), "he"),
    (re.compile("[\u0600-\u06ff]"), "ar"),
    (re.compile("[\u0370-\u03ff]"), "el"),
    (re.compile("[\u0e00-\u0e7f]"), "th"),
)
_OTHER_SCRIPT = re.compile(
    "[\u3040-\u30ff\uac00-\ud7af\u4e00-\u9fff\u0590-\u05ff\u0600-\u06ff\u0370-\u03ff"
    "\u0e00-\u0e7f\u0400-\u04ff]"
)
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_LATIN = re.compile("[A-Za-zÀ-ÿ]")


def detect_language(text: str, hint: str | None = None) -> str:
    """Return the ISO 639-1 code of the language of `text`, or 'und' where nothing can be told.

    `hint` (from Content-Language, say) decides only where the text is too short to tell.
    """
    sample = text[:MAX_TEXT]
    if "@" in sample or "://" in sample or "www." in sample:
        sample = _ADDRESS.sub(" ", sample)
    script = _by_script(sample)
    if script:
        return script
    words = [word.lower().replace("’", "'") for word in _WORD.findall(sample)]
    found = _by_words(words)
    if found:
        return found
    letters = sum(len(word) for word in words)
    if letters >= 12 and len(words) >= 3:
        guessed = _by_lingua(sample, letters)
        if guessed:
            return guessed
    return _clean_hint(hint) or _weak_words(words)


def _by_script(sample: str) -> str:
    if sample.isascii() or not _OTHER_SCRIPT.search(sample):
        return ""
    letters = sum(1 for c in sample if c.isalpha())
    if not letters:
        return ""
    for pattern, code in _SCRIPTS:
        if len(pattern.findall(sample)) * 3 > letters:
            return code
    if len(_CYRILLIC.findall(sample)) * 2 > letters:
        return "uk" if re.search("[іїєґІЇЄҐ]", sample) else "ru"
    return ""


def _counts(words: list[str]) -> list[tuple[int, str]]:
    counts = dict.fromkeys(_FUNCTION_WORDS, 0)
    for word in words:
        for code in _LANGUAGES_OF.get(word, ()):
            counts[code] += 1
    return sorted(((count, code) for code, count in counts.items()), key=lambda pair: -pair[0])


def _by_words(words: list[str]) -> str:
    """The language whose function words are clearly the commonest here."""
    if len(words) < 3:
        return ""
    (best, code), (second, _), *_ = _counts(words)
    if best >= 3 and best >= 1.6 * second and best * 7 >= len(words):
        return code
    return code if best == 2 and second == 0 and len(words) <= 8 else ""


def _weak_words(words: list[str]) -> str:
    (best, code), (second, _), *_ = _counts(words)
    return code if best > second else "und"


def _by_lingua(sample: str, letters: int) -> str:
    values = _detector().compute_language_confidence_values(sample[:240])
    if not values or values[0].value < (0.5 if letters > 60 else 0.75):
        return ""
    return str(values[0].language.iso_code_639_1.name).lower()


@lru_cache(maxsize=1)
def _detector() -> Any:
    """Built once, at first need: it takes about two seconds and 25 MB."""
    from lingua import Language, LanguageDetectorBuilder

    return (
        LanguageDetectorBuilder.from_languages(
            Language.FRENCH, Language.ENGLISH, Language.GERMAN, Language.SPANISH,
            Language.ITALIAN, Language.DUTCH, Language.PORTUGUESE, Language.POLISH,
            Language.SWEDISH, Language.DANISH,
        )
        .with_low_accuracy_mode()
        .build()
    )  # fmt: skip


def _clean_hint(hint: str | None) -> str:
    code = re.split(r"[-_,;\s]", (hint or "").strip().lower())[0]
    return code if len(code) == 2 and code.isalpha() else ""

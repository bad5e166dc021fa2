"""Read mails as a careful agent would: rules and model, joined into one triage each."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from mailflow.adapters.deciders import Answers, Row
from mailflow.adapters.models import Model, load_model
from mailflow.adapters.nlp import RuleMatcher, load_rules
from mailflow.adapters.parsers import PARSERS, load_parser
from mailflow.adapters.wording import encode_meaning, encode_sentences
from mailflow.core.completeness import ItemScores
from mailflow.core.judging import Located, Scores, Words, hold_triage, is_settled, judge
from mailflow.core.messages import Attachment, InboundMessage, MessageClass
from mailflow.core.rules import Hit, Place
from mailflow.core.triage import Outcome, Triage
from mailflow.core.triage_features import (
    AttachmentWords,
    Material,
    count_features,
    is_small_log,
)
from mailflow.data import shipped_folder

_LOGO = 15_000  # bytes: a smaller inline picture is a signature's, not a screenshot
_BATCH = 64
_LOGGED = frozenset({"error_code", "bare_error"})  # cues of an error in a log
_WORD = re.compile(r"\w+")
PlacedWord = tuple[str, int | None, int | None]
MODELS = Path(__file__).resolve().parent.parent / "models"


class Triager:
    """Rules of every language and the model, loaded once."""

    def __init__(self, matchers: Mapping[str, RuleMatcher], model: Model, version: str) -> None:
        self.matchers = matchers
        self.model = model
        self.version = version

    @classmethod
    def load(cls, rules_folder: Path | None = None, model_folder: Path | None = None) -> "Triager":
        """Load rules (`triage/*.toml` in `rules_folder`, else shipped) and model.

        Raises ConfigError naming file, rule and mend.
        """
        files = find_rule_files(rules_folder)
        matchers = {name: RuleMatcher(load_rules(path), str(path)) for name, path in files.items()}
        digest = hashlib.sha256(b"".join(files[name].read_bytes() for name in sorted(files)))
        model = load_model(model_folder or MODELS)
        return cls(matchers, model, f"rules-{digest.hexdigest()[:10]}+model-{model.version}")

    def first_needs(self) -> list[Callable[[], object]]:
        """Return what loads, piece by piece, what is otherwise loaded at first need."""
        matchers = [each.load_spoken for each in self.matchers.values()]
        parsers = [partial(load_parser, each) for each in self.matchers if each in PARSERS]
        return [partial(encode_sentences, ["ready"]), *matchers, *parsers]

    def triage(self, message: InboundMessage) -> Triage:
        """Return the triage of one mail."""
        return self.triage_many([message])[0]

    def triage_many(self, messages: Sequence[InboundMessage]) -> list[Triage]:
        """Return the triage of each mail, in order; sentences are encoded together."""
        results: list[Triage] = []
        for start in range(0, len(messages), _BATCH):
            results += self._triage_batch(messages[start : start + _BATCH])
        return results

    def _triage_batch(self, messages: Sequence[InboundMessage]) -> list[Triage]:
        held = [self._refuse(message) for message in messages]
        read = [
            (message, read_material(message))
            for message, refused in zip(messages, held, strict=True)
            if refused is None
        ]
        asked = self.ask_first(read)
        doubtful = [at for at, one in enumerate(asked) if not self.is_settled(one)]
        answered = self._ask_further([asked[at] for at in doubtful])
        for at, one in zip(doubtful, answered, strict=True):
            asked[at] = one
        judged = iter([self._judge(one) for one in asked])
        return [next(judged) if refused is None else refused for refused in held]

    def _refuse(self, message: InboundMessage) -> Triage | None:
        if message.message_class is not MessageClass.PERSON:
            reason = message.class_reason or message.message_class.value
            return hold_triage(message.language, Outcome.IGNORE, (f"not a person's: {reason}",))
        if message.encrypted:
            return hold_triage(message.language, Outcome.HOLD, ("the mail is encrypted",))
        if message.language not in self.matchers:
            reason = f"the language {message.language!r} is not one of {sorted(self.matchers)}"
            return hold_triage(message.language, Outcome.HOLD, (reason,))
        return None

    def ask_first(self, read: Sequence[tuple[InboundMessage, Material]]) -> list["Asked"]:
        """Return what the cheap stage makes of mails: rules without parser, words, cues."""
        materials = [material for _, material in read]
        hits = [
            find_all_hits(self.matchers[each.language], each, parse=False) for each in materials
        ]
        rows = [self.model.space.read(each) for each in materials]
        features = [
            count_features(each, found) for each, found in zip(materials, hits, strict=True)
        ]
        answers = self.model.ask_first(rows, features)
        return [
            Asked(material, message.text, found, row, answer)
            for (message, material), found, row, answer in zip(
                read, hits, rows, answers, strict=True
            )
        ]

    def is_settled(self, asked: "Asked") -> bool:
        """Say whether the cheap stage is so sure of all that the dear one is spared."""
        return is_settled(as_scores(asked.answers), self.model.thresholds)

    def _ask_further(self, asked: Sequence["Asked"]) -> list["Asked"]:
        meanings = encode_meaning([one.material for one in asked])
        hits = [self._parsed(one) for one in asked]
        features = [
            count_features(one.material, found) for one, found in zip(asked, hits, strict=True)
        ]
        answers = self.model.ask_further(
            [one.row for one in asked], features, meanings, [one.answers for one in asked]
        )
        return [
            replace(one, hits=found, answers=answer)
            for one, found, answer in zip(asked, hits, answers, strict=True)
        ]

    def _parsed(self, asked: "Asked") -> tuple[Hit, ...]:
        material = asked.material
        matcher = self.matchers[material.language]
        if matcher.wants_parser(material.subject) or matcher.wants_parser(material.body):
            return find_all_hits(matcher, material)
        return asked.hits

    def _judge(self, asked: "Asked") -> Triage:
        rules = self.matchers[asked.material.language].rules
        scores = as_scores(asked.answers)
        words = self._moving(asked, scores, rules.faint)
        place = Located(asked.material, asked.text)
        return judge(place, rules, asked.hits, scores, self.model.thresholds, words)

    def _moving(self, asked: "Asked", scores: Scores, faint: frozenset[str]) -> Words:
        words = {}
        for decision, answer in (("kind", scores.kind), ("priority", scores.priority)):
            value = max(answer, key=lambda key: answer[key])
            words[decision] = self.model.moving_words(asked.row, decision, value, faint)
        return Words(_place_words(words, asked.material.body))


@dataclass(frozen=True, slots=True)
class Asked:
    """A mail on its way: what was read, what the rules found, what the model said."""

    material: Material
    text: str
    hits: tuple[Hit, ...]
    row: Row
    answers: Answers


def _place_words(
    words: Mapping[str, Sequence[str]], body: str
) -> dict[str, tuple[PlacedWord, ...]]:
    """Return words, or pairs of neighbours, as they stand in `body`, with their first place."""
    spans = [found.span() for found in _WORD.finditer(body)]
    told = [body[start:end].lower() for start, end in spans]
    first = {word: at for at, word in reversed(list(enumerate(told)))}
    first.update({" ".join(pair): at for at, pair in reversed(list(enumerate(pairwise(told))))})

    def place(word: str) -> PlacedWord:
        at = first.get(word)
        if at is None:
            return word, None, None
        start, end = spans[at][0], spans[at + word.count(" ")][1]
        return body[start:end], start, end

    return {decision: tuple(map(place, each)) for decision, each in words.items()}


def as_scores(answers: Mapping[str, Mapping[str, float]]) -> Scores:
    """Return the model's answers by decision."""
    return Scores(
        kind=answers["kind"],
        priority=answers["priority"],
        exclusion=answers["exclusion"],
        items=ItemScores(
            description=answers["description"]["yes"],
            feature=answers["feature"]["yes"],
            steps=answers["steps"]["given"],
            error=answers["error"],
        ),
    )


def find_rule_files(rules_folder: Path | None) -> dict[str, Path]:
    """Return the rules file of each language; an operator's file replaces the shipped one."""
    found: dict[str, Path] = {}
    for folder in (shipped_folder("rules"), rules_folder):
        if folder is not None:
            found.update({path.stem: path for path in sorted((folder / "triage").glob("*.toml"))})
    return found


def find_all_hits(matcher: RuleMatcher, material: Material, parse: bool = True) -> tuple[Hit, ...]:
    """Return what the rules find in subject, body and attachments.

    A small log that holds an error counts as a screen that shows it.
    """
    hits = [
        *matcher.find_hits(material.subject, Place.SUBJECT, parse),
        *matcher.find_hits(material.body, Place.BODY, parse),
    ]
    for one in material.attachments:
        hits += matcher.find_hits(one.filename, Place.ATTACHMENT)
        told = matcher.find_hits(one.text, Place.BODY, parse=False) if one.text else ()
        shown = next((hit for hit in told if hit.cue in _LOGGED), None)
        if shown is not None:
            hits.append(replace(shown, cue="attached_screen", place=Place.ATTACHMENT))
    return tuple(hits)


def read_material(message: InboundMessage) -> Material:
    """Return what triage reads of a mail: subject, new text, attachments that tell something."""
    kept = [_read_attachment(one) for one in message.attachments if not _is_logo(one)]
    return Material(message.language, message.subject, message.new_text, tuple(kept))


def _is_logo(attachment: Attachment) -> bool:
    picture = attachment.content_type.startswith("image/")
    return picture and attachment.inline and attachment.size < _LOGO


def _read_attachment(attachment: Attachment) -> AttachmentWords:
    text = attachment.content.decode("utf-8", "replace") if is_small_log(attachment) else ""
    return AttachmentWords(attachment.filename, attachment.content_type, text)

"""What one mail holds, as named numbers: the cues found by the rules, and its shape.

Pure: the rules' hits come in, a mapping from name to number goes out. A cue stated as a fact and
the same cue asked or supposed are two features, and so are the pairs of cues whose meaning
lies in their meeting: 'all users' and 'blocked' is another thing than 'all users' and 'typo'.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailflow.core.messages import Attachment
from mailflow.core.rules import MOOD_PREFIX, Hit, Mood, Place

ASKED = "~"
PAIRS: tuple[tuple[str, str], ...] = (
    ("scope_all", "access_blocked"),
    ("scope_all", "blocked"),
    ("scope_all", "cosmetic"),
    ("scope_all", "no_effect"),
    ("scope_all", "others_fine"),
    ("scope_all", "scope_part"),
    ("scope_all", "workaround"),
    ("scope_all", "solved"),
    ("scope_all", "all_documents"),
    ("scope_all", "scope_limited"),
    ("scope_all", "past_time"),
    ("past_time", "solved"),
    ("error_colon", "cosmetic"),
    ("quoted_weak", "cosmetic"),
    ("quoted_weak", "blocked"),
    ("scope_part", "access_blocked"),
    ("scope_part", "others_fine"),
    ("blocked", "workaround"),
    ("blocked", "no_workaround"),
    ("blocked", "damage"),
    ("blocked", "no_effect"),
    ("blocked", "goes_through"),
    ("cosmetic", "blocked"),
    ("cosmetic", "workaround"),
    ("cosmetic", "damage"),
    ("wrong_result", "workaround"),
    ("wrong_result", "damage"),
    ("wrong_result", "no_effect"),
    ("workaround", "no_workaround"),
    ("slow", "goes_through"),
    ("solved", "thanks_done"),
    ("solved", "no_ask"),
    ("solved", "how_to"),
    ("solved", "not_solved"),
    ("wish", "demand_configuration"),
    ("wish", "training"),
    ("training", "newcomers"),
    ("how_to", "blocked"),
    ("how_to", "demand_configuration"),
    ("how_to", "wrong_result"),
    ("device_fault", "service_fine"),
    ("device_fault", "device_cleared"),
    ("own_change", "restore"),
    ("own_change", "own_change_denied"),
    ("own_change", "vendor_change"),
    ("vendor_change", "blocked"),
    ("numbered_steps", "action"),
    ("menu_path", "action"),
    ("action", "sequence"),
    ("error_mentioned", "error_quoted"),
    ("error_mentioned", "no_error"),
    ("error_code", "error_quoted"),
    ("cosmetic", "error_quoted"),
    ("attached_image", "screenshot_said"),
    ("attached_image", "error_mentioned"),
    ("attached_screen", "error_mentioned"),
    ("quote_error", "quote_label"),
    ("quote_error", "quote_shown"),
    ("quote_error", "text_wrong"),
    ("quote_error", "cosmetic"),
    ("bare_error", "text_wrong"),
    ("bare_error", "no_error"),
    ("quote_label", "quote_shown"),
    ("action_path", "workaround"),
    ("action_path", "action"),
    ("sole_use", "total_stop"),
    ("sole_use", "blocked"),
    ("scope_all", "text_wrong"),
    ("scope_all", "total_stop"),
)
TOGETHER: tuple[tuple[str, str], ...] = (
    ("scope_all", "access_blocked"),
    ("scope_all", "blocked"),
    ("scope_all", "cosmetic"),
    ("scope_part", "blocked"),
    ("scope_one", "blocked"),
    ("own_change", "device"),
    ("how_to", "config_wish"),
    ("blocked", "workaround"),
    ("error_quoted", "cosmetic"),
    ("scope_all", "scope_limited"),
    ("quoted_weak", "blocked"),
    ("error_code", "error_quoted"),
    ("action", "sequence"),
    ("action", "menu_path"),
    ("quote_error", "quote_shown"),
    ("quote_label", "quote_error"),
    ("text_wrong", "quote_shown"),
    ("action_path", "workaround"),
)


_SMALL_LOG = 20_000  # bytes: a larger attachment is not read


def is_small_log(attachment: Attachment) -> bool:
    """Say whether triage reads an attachment's content, and not only its name."""
    return attachment.content_type.startswith("text/") and attachment.size <= _SMALL_LOG


@dataclass(frozen=True, slots=True)
class AttachmentWords:
    """What triage reads of an attachment: its name, its type, and a small log's text."""

    filename: str
    content_type: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """What triage reads of a mail. `body` is what the sender wrote now."""

    language: str
    subject: str
    body: str
    attachments: tuple[AttachmentWords, ...] = ()

    @property
    def written(self) -> str:
        """The words that the statistical model reads."""
        names = " ".join(f"[{one.filename}]" for one in self.attachments)
        return f"{self.subject}\n{self.body}\n{names}".strip()


def count_features(material: Material, hits: Sequence[Hit]) -> dict[str, float]:
    """Return the named numbers of a mail; a name that is missing stands for zero."""
    features = _cue_features(hits)
    features.update(_pair_features(features))
    features.update(_together(material, hits))
    features.update(_shape(material))
    return features


def _cue_features(hits: Sequence[Hit]) -> dict[str, float]:
    counts: dict[str, float] = {}
    for hit in hits:
        if hit.cue.startswith(MOOD_PREFIX):
            continue
        name = hit.cue if hit.mood is Mood.ACTUAL else hit.cue + ASKED
        counts[name] = counts.get(name, 0.0) + 1.0
        if hit.place is Place.SUBJECT:
            counts[f"subject:{hit.cue}"] = 1.0
        if hit.mood is Mood.SUPPOSED:
            counts["supposed"] = 1.0
    return {name: 1.0 + 0.3 * min(value - 1.0, 4.0) for name, value in counts.items()}


def _pair_features(features: Mapping[str, float]) -> dict[str, float]:
    return {
        f"{one}&{other}": 1.0
        for one, other in PAIRS
        if features.get(one) and (features.get(other) or features.get(other + ASKED))
    }


def _together(material: Material, hits: Sequence[Hit]) -> dict[str, float]:
    """Two cues within 90 characters of each other in the body."""
    found: dict[str, float] = {}
    body = [hit for hit in hits if hit.place is Place.BODY and hit.mood is Mood.ACTUAL]
    for one, other in TOGETHER:
        first = [hit for hit in body if hit.cue == one]
        second = [hit for hit in body if hit.cue == other]
        if any(abs(a.start - b.start) <= 90 for a in first for b in second):
            found[f"{one}+{other}"] = 1.0
    return found


_NUMBERED_LINE = re.compile(r"(?m)^\s*(?:\(?\w[.)]|[-*•–>]|\d+\s*[-:/])\s+\S")
_QUOTED = re.compile(r"[«“\"][^«»“”\"\n]{2,160}[»”\"]")


def _shape(material: Material) -> dict[str, float]:
    body = material.body
    words = len(body.split())
    asked = body.count("?")
    last = body.rstrip()[-160:]
    return {
        "shape:length": math.log1p(words) - 4.0,
        "shape:short": float(words < 15),
        "shape:questions": min(asked, 3) / 2.0,
        "shape:asked_at_end": float("?" in last),
        "shape:subject_asked": float("?" in material.subject),
        "shape:shouted": min(body.count("!"), 4) / 4.0,
        "shape:list_lines": min(len(_NUMBERED_LINE.findall(body)), 5) / 3.0,
        "shape:quoted": min(len(_QUOTED.findall(body)), 3) / 2.0,
        "shape:no_subject": float(not material.subject.strip()),
        "shape:attachments": float(bool(material.attachments)),
        "shape:french": float(material.language == "fr"),
    }

"""What a client's mail asks for, how urgent it is, and the evidence for each answer."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Kind(StrEnum):
    """What a mail is about. Source: contract, 'Problème' and 'Exclusions'."""

    PROBLEM = "problem"
    INFORMATION = "information"
    EXCLUDED = "excluded"
    NOISE = "noise"


class Exclusion(StrEnum):
    """The four services that the contract does not include. Source: contract, 'Exclusions'."""

    CONFIGURATION = "configuration"
    THIRD_PARTY = "third_party"
    TRAINING = "training"
    CLIENT_MODIFICATION = "client_modification"


class ErrorStatus(StrEnum):
    """Whether the client gave the error message, said that there is none, or neither."""

    GIVEN = "given"
    STATED_NONE = "stated_none"
    MISSING = "missing"


class Item(StrEnum):
    """What a problem report must hold. Source: contract, 'Conditions de soumission'."""

    DESCRIPTION = "description"
    FEATURE = "feature"
    STEPS = "steps"
    ERROR_MESSAGE = "error_message"


class Outcome(StrEnum):
    """What mailflow does with a first mail."""

    REGISTER = "register"
    REQUEST_INFORMATION = "request_information"
    NOTIFY_EXCLUSION = "notify_exclusion"
    HOLD = "hold"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The client's words that speak for a decision.

    `source` is a rule's id or 'model'. `start` and `end` are offsets in the mail's `text`;
    both None where the words stand in the subject or in an attachment.
    """

    source: str
    text: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Judged(Generic[T]):
    """A decision with its calibrated confidence (0 to 1) and what led to it."""

    value: T
    confidence: float
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A required item: present or not, and its text where found."""

    present: bool
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorField:
    """The error message item."""

    status: ErrorStatus
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """The four required items of a problem report."""

    description: Field
    feature: Field
    steps: Field
    error_message: ErrorField


@dataclass(frozen=True, slots=True)
class Review:
    """Whether an agent must look, and why, in words that an agent understands."""

    needed: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Triage:
    """All that triage says of one mail."""

    language: str
    kind: Judged[Kind]
    exclusion: Judged[Exclusion | None]
    priority: Judged[int | None]  # 1 to 4; None for excluded and noise
    requested_priority: Judged[int | None]
    fields: Fields
    missing: tuple[Item, ...]
    outcome: Outcome
    review: Review

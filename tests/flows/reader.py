"""A triager whose answers are plain to see, so that flows do not move when the model learns."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailflow.core.messages import InboundMessage
from mailflow.core.triage import (
    ErrorField,
    ErrorStatus,
    Exclusion,
    Field,
    Fields,
    Item,
    Judged,
    Kind,
    Outcome,
    Review,
    Triage,
)

WORDS = {
    Item.FEATURE: ("module", "facturation", "export", "login page", "page de connexion"),
    Item.STEPS: ("étapes", "pour reproduire", "steps:", "to reproduce"),
    Item.ERROR_MESSAGE: ("erreur", "error"),
}
EXCLUSIONS = {
    Exclusion.TRAINING: ("formation", "training"),
    Exclusion.CONFIGURATION: ("paramétr", "approval level"),
    Exclusion.THIRD_PARTY: ("imprimante", "printer"),
    Exclusion.CLIENT_MODIFICATION: ("modifié nous-mêmes", "changed it ourselves"),
}
QUESTIONS = ("comment puis-je", "how do i")
THANKS = ("merci beaucoup", "many thanks, all")
TOTAL_STOP = ("plus personne", "nobody can")
UNSURE = "peut-être"  # a mail with this word needs a human's look


@dataclass
class Reader:
    """Reads a mail by the words above, and counts how often it was asked."""

    asked: int = 0

    def triage_many(self, messages: Sequence[InboundMessage]) -> tuple[Triage, ...]:
        return tuple(self.triage(each) for each in messages)

    def triage(self, message: InboundMessage) -> Triage:
        self.asked += 1
        text = f"{message.subject}\n{message.new_text}".lower()
        exclusion = next((k for k, words in EXCLUSIONS.items() if _any(words, text)), None)
        if exclusion is not None:
            return self._say(message, Kind.EXCLUDED, Outcome.NOTIFY_EXCLUSION, None, exclusion)
        if _any(QUESTIONS, text):
            return self._say(message, Kind.INFORMATION, Outcome.REGISTER, 4)
        if _any(THANKS, text):
            return self._say(message, Kind.NOISE, Outcome.IGNORE, None)
        has_file = any(not each.inline for each in message.attachments)
        missing = tuple(
            item
            for item, words in WORDS.items()
            if not _any(words, text) and not (item is Item.ERROR_MESSAGE and has_file)
        )
        outcome = Outcome.REQUEST_INFORMATION if missing else Outcome.REGISTER
        priority = 1 if _any(TOTAL_STOP, text) else 2
        return self._say(message, Kind.PROBLEM, outcome, priority, missing=missing)

    def _say(
        self,
        message: InboundMessage,
        kind: Kind,
        outcome: Outcome,
        priority: int | None,
        exclusion: Exclusion | None = None,
        missing: tuple[Item, ...] = (),
    ) -> Triage:
        unsure = UNSURE in message.new_text.lower()
        status = ErrorStatus.MISSING if Item.ERROR_MESSAGE in missing else ErrorStatus.GIVEN
        return Triage(
            language=message.language,
            kind=Judged(kind, 0.99),
            exclusion=Judged(exclusion, 0.99),
            priority=Judged(priority, 0.6 if unsure else 0.99),
            requested_priority=Judged(None, 0.99),
            fields=Fields(
                description=Field(True),
                feature=Field(Item.FEATURE not in missing),
                steps=Field(Item.STEPS not in missing),
                error_message=ErrorField(status),
            ),
            missing=missing,
            outcome=outcome,
            review=Review(unsure, ("the priority is not sure",) if unsure else ()),
        )


def _any(words: Sequence[str], text: str) -> bool:
    return any(word in text for word in words)

"""What agents corrected, as labelled mails to train on."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.database import Database
from mailflow.adapters.tables import Attachment, Correction, Event, Inbound
from mailflow.core.triage import Kind

WITHOUT_PRIORITY = frozenset({Kind.EXCLUDED.value, Kind.NOISE.value})


def labelled_corrections(database: Database) -> list[dict[str, Any]]:
    """Return one labelled mail (docs/triage.md has the format) for each mail that was corrected.

    What no agent changed keeps the label that triage gave; of several corrections of one mail the
    last word on each label counts. Mails in other languages than French and English are left out.
    """
    with database.read() as session:
        rows = session.scalars(select(Correction).order_by(Correction.id)).all()
        changed: dict[int, dict[str, Any]] = {}
        for row in rows:
            changed.setdefault(row.inbound_id, {}).update(row.labels)
        found = [_labelled(session, number, labels) for number, labels in changed.items()]
    return [each for each in found if each is not None]


def _labelled(
    session: Session, inbound_id: int, labels: Mapping[str, Any]
) -> dict[str, Any] | None:
    mail = session.get_one(Inbound, inbound_id)
    event = session.scalar(
        select(Event)
        .where(Event.inbound_id == inbound_id, Event.kind == "triaged")
        .order_by(Event.id)
        .limit(1)
    )
    if event is None or mail.language not in ("fr", "en"):
        return None
    triage = event.data["triage"]
    fields = triage["fields"]
    missing = labels.get("missing")
    kind = labels.get("kind", triage["kind"]["value"])
    exclusion = labels.get("exclusion", triage["exclusion"]["value"])
    priority = labels.get("priority", triage["priority"]["value"])
    error = fields["error_message"]["status"]
    if missing is not None:
        error = "missing" if "error_message" in missing else error.replace("missing", "given")
    return {
        "id": f"agent-{inbound_id}",
        "language": mail.language,
        "subject": mail.subject or "",
        "body": mail.new_text or "",
        "attachments": list(
            session.scalars(select(Attachment.filename).where(Attachment.inbound_id == inbound_id))
        ),
        "kind": kind,
        "priority": None if kind in WITHOUT_PRIORITY else priority or 3,
        "requested_priority": triage["requested_priority"]["value"],
        "exclusion": exclusion if kind == Kind.EXCLUDED.value else None,
        "description": _is_present("description", missing, fields["description"]["present"]),
        "feature": _is_present("feature", missing, fields["feature"]["present"]),
        "steps": "given"
        if _is_present("steps", missing, fields["steps"]["present"])
        else "missing",
        "error": error,
        "spans": {"steps": [], "error": []},
        "source": "agent",
    }


def _is_present(item: str, missing: list[str] | None, judged: bool) -> bool:
    return judged if missing is None else item not in missing

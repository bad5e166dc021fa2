"""What an agent changed comes back as a labelled mail that training can read."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from mailflow.adapters.store import add_event
from mailflow.adapters.tables import Correction, Inbound, Ticket
from mailflow.core.triage import Outcome
from mailflow.desk import Desk
from mailflow.services.corrections import labelled_corrections
from mailflow.services.train_data import read_examples
from tests.factories import make_triage
from tests.services.test_outbox import add_ticket


def add_mail(desk: Desk, *corrections: dict[str, object], language: str = "fr") -> None:
    """A mail that triage took for a P3 problem with everything given, then corrected."""
    ticket_id = add_ticket(desk)
    now = desk.clock()
    with desk.database.begin() as session:
        mail = Inbound(
            identity=f"{ticket_id:064d}", source="file", size=1, received_at=now,
            next_attempt_at=now, status="done", subject="Export", new_text="L'export échoue.",
            language=language, references=[], ticket_id=ticket_id,
        )  # fmt: skip
        session.add(mail)
        session.flush()
        ticket = session.get_one(Ticket, ticket_id)
        triage = asdict(make_triage(Outcome.REGISTER))
        add_event(session, ticket, "triaged", now, "mailflow", {"triage": triage}, mail.id)
        for labels in corrections:
            session.add(
                Correction(
                    inbound_id=mail.id, ticket_id=ticket_id, labels=labels,
                    agent="alice@support.example", reason="", at=now,
                )
            )  # fmt: skip


@pytest.mark.parametrize(
    ("corrections", "expected"),
    [
        ([{"priority": 1}], {"kind": "problem", "priority": 1}),  # what was not changed stays
        ([{"priority": 1}, {"priority": 2}], {"priority": 2}),  # the last word counts
        (
            [{"kind": "excluded", "exclusion": "training"}],
            {"kind": "excluded", "exclusion": "training", "priority": None},
        ),
        ([{"kind": "noise"}], {"kind": "noise", "priority": None, "exclusion": None}),
        (
            [{"missing": ["steps", "error_message"]}],
            {"steps": "missing", "error": "missing", "description": True, "feature": True},
        ),
        (
            [{"kind": "excluded", "exclusion": "training"}, {"kind": "problem", "exclusion": None}],
            {"kind": "problem", "exclusion": None},  # included again
        ),
    ],
)
def test_a_correction_becomes_a_labelled_mail(
    desk: Desk, tmp_path: Path, corrections: list[dict[str, object]], expected: dict[str, object]
) -> None:
    add_mail(desk, *corrections)
    (found,) = labelled_corrections(desk.database)
    assert {key: found[key] for key in expected} == expected
    assert (found["subject"], found["body"], found["source"]) == (
        "Export",
        "L'export échoue.",
        "agent",
    )
    file = tmp_path / "corrections.jsonl"
    file.write_text(json.dumps(found) + "\n", "utf-8")
    assert len(read_examples([file])) == 1  # training takes it as it is


def test_mails_in_other_languages_and_uncorrected_ones_are_left_out(desk: Desk) -> None:
    add_mail(desk, {"priority": 1}, language="de")
    add_mail(desk)
    assert labelled_corrections(desk.database) == []

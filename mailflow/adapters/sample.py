"""Sample data for every template: `mailflow check` renders each with it, so do the tests.

The keys here are the whole vocabulary of templates: docs/templates.md explains them.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from mailflow.core.decisions import NoticeKind

NOW = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)


def sample_context(kind: NoticeKind, priority: int | None = 2) -> dict[str, Any]:
    """Return a context with every key that templates may use, as `services.context` makes it."""
    return {
        "support": {
            "name": "Support",
            "address": "support@support.example",
            "quotation_address": "commerce@support.example",
        },
        "ticket": {
            "reference": "MF-2026-000123",
            "subject": "Impossible d’exporter les factures",
            "summary": "L’export des factures échoue depuis ce matin",
            "state": "open",
            "kind": "problem",
            "exclusion": "training",
            "priority": priority,
            "requested_priority": 1,
            "requester": "claire.martin@client.example",
            "requester_name": "Claire Martin",
            "organisation": "Client SA",
            "registered_at": NOW,
            "due_at": NOW + timedelta(hours=48),
            "closed_at": NOW + timedelta(days=2),
            "contact": {"name": "Paul Durand", "telephone": "06 12 34 56 78"},
            "workaround": False,
            "review": ["priority: two readings are close"],
            "standard_target": True,
        },
        "agent": {"name": "Anne Leroy"},
        "reader": {"name": "Claire Martin", "address": "claire.martin@client.example"},
        "thread_subject": "Re: Impossible d’exporter les factures [MF-2026-000123]",
        "mail_subject": "Impossible d’exporter les factures",
        "client_text": "Bonjour,\nL’export échoue.\n<b>1 < 2 & 3</b>",
        "findings": [
            {"name": "priority", "value": "2", "confidence": 0.91, "words": ["l’export échoue"]},
        ],
        "now": NOW,
        "data": _sample_data(kind),
    }


def _sample_data(kind: NoticeKind) -> dict[str, Any]:
    """Return what the notice itself carries (`Notice.data`)."""
    missing = ["description", "feature", "steps", "error_message"]
    when = (NOW + timedelta(hours=4)).isoformat()
    by_kind: dict[NoticeKind, dict[str, Any]] = {
        NoticeKind.REQUEST_INFORMATION: {"missing": missing, "again": True, "question": ""},
        NoticeKind.REFUSED: {"contract": "ended"},
        NoticeKind.ANSWER: {"text": "Bonjour,\n\nVoici la réponse.", "author": "Anne Leroy"},
        NoticeKind.PRIORITY_CHANGED: {"old": 3, "new": 2, "reason": "plusieurs sites touchés"},
        NoticeKind.RESOLUTION: {"text": "Nous avons corrigé l’export.", "workaround": False},
        NoticeKind.PROGRESS: {"text": "Nous cherchons encore."},
        NoticeKind.WAITING: {"text": "Pouvez-vous nous envoyer le fichier ?"},
        NoticeKind.MISSING_REMINDER: {"missing": missing, "number": 1, "last": False},
        NoticeKind.CONFIRMATION_REMINDER: {"number": 1, "last": False, "closes_on": None},
        NoticeKind.AGENT_REPLY: {
            "confirmation": {"verdict": "unclear", "words": "oui mais", "reason": "a condition"},
            "contact": None,
            "objection": False,
        },
        NoticeKind.AGENT_REVIEW: {"reason": "the sender belongs to no organisation"},
        NoticeKind.AGENT_REMINDER: {"stage": "75 %", "due_at": when, "left": "1 h 00"},
        NoticeKind.AGENT_ESCALATION: {"stage": "breach", "due_at": when, "left": "-0 h 10"},
        NoticeKind.AGENT_PROMPT: {"number": 2},
        NoticeKind.AGENT_PROBLEM: {"reason": "registration did not reach claire@client.example"},
        NoticeKind.AGENT_TRANSCRIPT: {
            "done": ["priority: P3 → P2"],
            "refused": ["close: the client has not confirmed"],
            "notes": [],
        },
        NoticeKind.AGENT_DIGEST: {
            "due": [{"reference": "MF-2026-000123", "subject": "Export", "priority": 2,
                     "due_at": when}],
            "waiting": [],
            "validation": [{"reference": "MF-2026-000124", "subject": "Logo", "priority": 4,
                            "due_at": None}],
        },
    }  # fmt: skip
    return by_kind.get(kind, {})

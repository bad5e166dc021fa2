"""`mailflow tickets why`: how the deadline was reached, and why everything was decided."""

import json

import pytest
from typer.testing import CliRunner

from mailflow.cli import app
from mailflow.cli import why as _module_command  # noqa: F401  (makes the module importable)
from mailflow.core.tickets import Action
from mailflow.services.sweep import sweep
from tests.services.life import new_ticket, paris, registered, say, step

runner = CliRunner()
REFERENCE = "MF-2026-000001"


@pytest.fixture
def why(desk, monkeypatch):
    import importlib

    module = importlib.import_module("mailflow.cli.why")
    monkeypatch.setattr(module, "desk_from", lambda config: desk)

    def call(*words):
        result = runner.invoke(app, ["tickets", "why", *words], env={"COLUMNS": "200"})
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    return call


def test_each_stretch_of_time_is_counted_or_not_and_why(desk, clock, why):
    number = registered(desk, 1)
    clock.now = paris("2026-03-03 11:00")
    say(desk, number, "#wait\nUn instant.")
    clock.now = paris("2026-03-03 16:00")
    step(desk, number, "resumed", Action.CLIENT_REPLIED)
    found = json.loads(why(REFERENCE, "--json"))
    assert found["due_at"] == "2026-03-04T09:00:00+00:00"
    assert found["left_seconds"] == 3 * 3600
    counted = [
        (each["start"][11:16], each["end"][11:16]) for each in found["timeline"] if each["counted"]
    ]
    assert counted == [("09:00", "10:00"), ("15:00", "17:00"), ("08:00", "09:00")]
    assert any("waiting for the client" in each["reason"] for each in found["timeline"])
    shown = why(REFERENCE)
    assert "Wed 2026-03-04 10:00" in shown
    assert "waiting for the client" in shown
    assert "4 h 00" in shown and "business_hours" in shown


def test_a_breach_is_shown_even_when_a_lower_priority_has_made_it_good(desk, clock, why):
    number = registered(desk, 1)
    clock.now = paris("2026-03-03 14:05")
    sweep(desk)
    say(desk, number, "#priority 4 un contournement suffit")
    found = json.loads(why(REFERENCE, "--json"))
    assert found["breached"] is False
    (breach,) = [each for each in found["events"] if each["kind"] == "escalated"]
    assert breach["data"]["stage"] == "breach"
    shown = why(REFERENCE)
    assert "in time" in shown
    assert "stage: breach" in shown
    assert "un contournement suffit" in shown


def test_a_breached_ticket_says_so(desk, clock, why):
    registered(desk, 1)
    clock.now = paris("2026-03-03 15:00")
    assert "breached" in why(REFERENCE)


def test_no_deadline_while_the_clock_stands(desk, clock, why):
    number = registered(desk, 2)
    say(desk, number, "#wait\nUn instant.")
    assert "none while the clock stands" in why(REFERENCE)
    assert json.loads(why(REFERENCE, "--json"))["due_at"] is None


def test_without_a_registration_there_is_no_clock(desk, why):
    new_ticket(desk, missing=["steps"])
    assert "No clock runs" in why("1")
    assert json.loads(why("1", "--json"))["timeline"] == []

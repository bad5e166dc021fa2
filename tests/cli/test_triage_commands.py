"""`mailflow triage` and `mailflow evaluate`, as a user calls them."""

import json

import pytest
from typer.testing import CliRunner

from mailflow.cli import app

pytestmark = pytest.mark.filterwarnings("default")  # of the language models' own libraries
RUN = CliRunner()
MAIL = (
    "From: Ann <ann@client.example>\nSubject: outage\nMessage-ID: <1@client.example>\n"
    "Date: Mon, 2 Mar 2026 09:00:00 +0100\n"
    "Content-Type: text/plain; charset=utf-8\n\n"
    "Nobody in our company can sign in since 8, all sites see a white page. Priority 2.\n"
)
LABELLED = {
    "id": "t-1", "language": "en", "subject": "outage", "attachments": [],
    "body": "Nobody in our company can sign in since 8, all sites see a white page.",
    "kind": "problem", "priority": 1, "requested_priority": None, "exclusion": None,
    "description": True, "feature": True, "steps": "missing", "error": "missing",
    "spans": {"steps": [], "error": []},
}  # fmt: skip


@pytest.fixture
def mail(tmp_path):
    path = tmp_path / "mail.eml"
    path.write_text(MAIL, "utf-8")
    return path


def test_json_is_one_line_a_file(mail):
    result = RUN.invoke(app, ["triage", "--json", str(mail), str(mail)])
    assert result.exit_code == 0
    first, second = map(json.loads, result.stdout.splitlines())
    assert first == second
    assert first["file"] == str(mail)
    assert first["priority"]["value"] == 1
    assert first["requested_priority"]["value"] == 2


def test_a_person_sees_decisions_and_words(mail):
    result = RUN.invoke(app, ["triage", str(mail)])
    assert result.exit_code == 0
    for word in ("priority", "problem", "outcome", "required"):
        assert word in result.stdout


def test_a_missing_file_does_not_stop_the_others(mail, tmp_path):
    result = RUN.invoke(app, ["triage", "--json", str(tmp_path / "none.eml"), str(mail)])
    assert result.exit_code == 1
    assert len(result.stdout.strip().splitlines()) >= 1


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_evaluate(tmp_path, option):
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps(LABELLED) + "\n", "utf-8")
    result = RUN.invoke(app, ["evaluate", *option, str(path)])
    assert result.exit_code == 0
    if option:
        assert json.loads(result.stdout)["kind"]["right"] == 1.0
    else:
        assert "calibration" in result.stdout


def test_evaluate_of_nothing_fails(tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_text("")
    assert RUN.invoke(app, ["evaluate", str(path)]).exit_code == 1

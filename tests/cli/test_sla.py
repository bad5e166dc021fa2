"""`mailflow sla`, as programs and persons use it."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from mailflow.cli import app
from mailflow.data import shipped_folder

runner = CliRunner()


def ask(*lines, code=0):
    text = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines)
    result = runner.invoke(app, ["sla", "--json"], input=text + "\n")
    assert result.exit_code == code, result.output
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def ticket(priority="P1", registered_at="2026-05-04T10:00:00+02:00", **more):
    return {"id": "a", "priority": priority, "registered_at": registered_at, "pauses": []} | more


@pytest.mark.parametrize(
    "request_, due",
    [
        (ticket(), "2026-05-04T12:00:00+00:00"),
        (ticket(1), "2026-05-04T12:00:00+00:00"),
        (ticket("1"), "2026-05-04T12:00:00+00:00"),
        (ticket("p2"), "2026-05-06T08:00:00+00:00"),
        (ticket(registered_at="2026-05-04T08:00:00Z"), "2026-05-04T12:00:00+00:00"),
        (ticket(registered_at="2026-05-04 08:00:00.250z"), "2026-05-04T12:00:00.250000+00:00"),
        (ticket(registered_at="2026-05-03T21:00:00-11:00"), "2026-05-04T12:00:00+00:00"),
        (ticket(pauses=None), "2026-05-04T12:00:00+00:00"),
        (ticket(pauses=[["2026-05-04T11:00:00+02:00", None]]), None),
        (
            ticket(pauses=[["2026-05-04T11:00:00+02:00", "2026-05-04T11:30:00+02:00"]]),
            "2026-05-04T12:30:00+00:00",
        ),
    ],
)
def test_json_line(request_, due):
    (answer,), _ = ask(request_)
    assert answer == {"id": "a", "due_at": due}


def test_pauses_may_be_left_out_and_ids_are_any_value():
    answers, _ = ask(*[ticket(id=each) for each in (7, "é", None, [1], "\ud800")])
    assert [each["id"] for each in answers] == [7, "é", None, [1], "\ud800"]
    (answer,), _ = ask({"id": 1, "priority": 4, "registered_at": "2026-05-04T10:00+02:00"})
    assert answer["due_at"] == "2026-05-11T08:00:00+00:00"


@pytest.mark.parametrize(
    "line, words",
    [
        ("{", "not JSON"),
        ("[1]", "expected a JSON object with the keys id, priority"),
        ('{"id": NaN}', "NaN is no JSON value"),
        ("[" * 100_000, ""),  # nested too deeply
        (ticket(priority=0), "priority 0: expected one of P1, P2, P3, P4"),
        (ticket(priority=True), "priority True: expected one of"),
        (ticket(priority=1.0), "priority 1.0: expected one of"),
        (ticket(priority="urgent"), "priority 'urgent': expected one of"),
        (ticket(registered_at="2026-05-04T10:00:00"), "no time zone; write an offset"),
        (ticket(registered_at="2026-05-04"), "no time zone; write an offset"),
        (ticket(registered_at="yesterday"), "'yesterday': expected an instant in ISO 8601"),
        (ticket(registered_at=1777880000), "1777880000: expected an instant in ISO 8601"),
        ({"id": "a", "priority": 1}, "'registered_at' is missing"),
        ({"id": "a", "registered_at": "2026-05-04T10:00:00Z"}, "'priority' is missing"),
        (ticket(pauses={}), "expected a list of [start, end or null]"),
        (ticket(pauses=[["2026-05-04T10:00:00Z"]]), "expected [start, end], or [start, null]"),
        (ticket(pauses=[["2026-05-04T10:00:00", None]]), "no time zone"),
        (ticket(pauses=[[None, None]]), "None: expected an instant"),
        (ticket(registered_at="9999-12-31T10:00:00Z"), "close to the years 1 and 9999"),
    ],
)
def test_a_bad_line_is_answered_and_the_others_too(line, words):
    answers, errors = ask(ticket(id=1), line, ticket(id=3), code=1)
    assert [each["id"] for each in answers if "error" not in each] == [1, 3]
    bad = answers[1]
    assert bad["due_at"] is None
    assert words in bad["error"]
    assert "line 2: " in errors


def test_not_utf8():
    result = runner.invoke(app, ["sla", "--json"], input=b'{"id": "\xff"}\n')
    assert result.exit_code == 1
    assert "utf-8" in json.loads(result.stdout)["error"]


def test_empty_lines_a_byte_order_mark_and_windows_line_ends():
    text = b"\xef\xbb\xbf" + json.dumps(ticket()).encode() + b"\r\n\r\n  \n"
    result = runner.invoke(app, ["sla", "--json"], input=text)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)


def test_what_has_no_effect_is_said_once():
    odd = ticket(pause=[], pauses=[["2026-05-04T12:00:00Z", "2026-05-04T11:00:00Z"], [1, 2]][:1])
    answers, errors = ask(odd, odd)
    assert [each["due_at"] for each in answers] == ["2026-05-04T12:00:00+00:00"] * 2
    assert errors.count("the key 'pause' is not known") == 1
    assert errors.count("a pause that ends before it starts is empty") == 1


def test_each_answer_is_flushed():
    """A program may ask line by line, waiting for each answer."""
    command = [sys.executable, "-m", "mailflow", "sla", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for number in range(3):
            process.stdin.write(json.dumps(ticket(id=number)).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
        process.stdin.close()
        assert process.wait(20) == 0


def person(*arguments, code=0):
    result = runner.invoke(app, ["sla", *arguments])
    assert result.exit_code == code, result.output
    return " ".join((result.output + (result.stderr or "")).split())


def test_a_person_gets_words_and_the_way_there():
    text = person("--priority", "2", "--registered-at", "2026-04-30T16:00+02:00")
    assert "Due Tuesday 5 May 2026 at 16:00 (Europe/Paris)." in text
    assert "48 h on the clock working_days" in text
    assert "closed: public holiday Fête du Travail" in text
    assert "closed: weekend" in text


def test_a_person_with_pauses():
    text = person(
        "-p",
        "P1",
        "-r",
        "2026-05-04T10:00:01+02:00",
        "--pause",
        "2026-05-04T11:00+02:00..2026-05-04T12:00+02:00",
    )
    assert "Due Monday 4 May 2026 at 15:00:01" in text
    assert "paused: waiting for the client" in text
    text = person("-p", "P1", "-r", "2026-05-04T10:00+02:00", "--pause", "2026-05-04T11:00+02:00..")
    assert "No deadline for now" in text
    assert "still open" in text


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "give --priority and --registered-at, or --json"),
        (["-p", "1"], "give --priority and --registered-at"),
        (["--json", "-p", "1"], "leave out the other options"),
        (["-p", "9", "-r", "2026-05-04T10:00Z"], "priority '9': expected one of"),
        (["-p", "1", "-r", "2026-05-04T10:00"], "no time zone"),
        (["-p", "1", "-r", "soon"], "expected an instant"),
        (["-p", "1", "-r", "2026-05-04T10:00Z", "--pause", "x"], "expected START..END"),
        (["-p", "1", "-r", "9999-12-31T10:00Z"], "9999"),
    ],
)
def test_wrong_use(arguments, words):
    text = person(*arguments, code=2).replace("│ ", "")
    assert words.split()[0] in text
    assert words.split()[-1] in text


def test_rules_and_calendar_of_ones_own(tmp_path):
    text = (shipped_folder("rules") / "sla.toml").read_text("utf-8")
    text = text.replace('"4h"', '"2h"') + (
        "\n[calendar.night]\nzone = 'UTC'\nholidays = ''\n"
        "[calendar.night.hours]\nmonday = ['20:00-24:00']\n"
    )
    (tmp_path / "sla.toml").write_text(text, "utf-8")
    arguments = ["-p", "1", "-r", "2026-05-04T10:00+02:00", "--rules", str(tmp_path)]
    assert "Due Monday 4 May 2026 at 12:00 (Europe/Paris)" in person(*arguments)
    assert "at 22:00 (UTC)" in person(*arguments, "--calendar", "night")


def test_the_rules_that_a_configuration_names(tmp_path):
    (tmp_path / "rules").mkdir()
    text = (shipped_folder("rules") / "sla.toml").read_text("utf-8")
    (tmp_path / "rules" / "sla.toml").write_text(text.replace('"4h"', '"3h"'), "utf-8")
    config = tmp_path / "config.toml"
    config.write_text(
        '[support]\naddress = "support@support.example"\n[smtp]\nhost = "127.0.0.1"\nport = 2525\ntls = "none"\n'
        '[files]\nrules = "rules"\n',
        "utf-8",
    )
    text = person("-p", "1", "-r", "2026-05-04T10:00+02:00", "-c", str(config))
    assert "Due Monday 4 May 2026 at 13:00 (Europe/Paris)" in text


def test_help_has_examples():
    text = person("--help")
    assert "mailflow sla --priority 2" in text
    assert "mailflow sla --json" in text

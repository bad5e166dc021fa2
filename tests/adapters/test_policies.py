"""`rules/sla.toml`: what loads, what is refused and how it says so, and snapshots."""

import json
import random
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest

from mailflow.adapters import policies
from mailflow.adapters.policies import find_holidays, from_json, load_policies, to_json
from mailflow.adapters.policy_words import read_duration, read_target, span_texts
from mailflow.core.calendar import Holidays
from mailflow.core.policy import Clock, Recipient
from mailflow.core.sla import Pause, due_at
from mailflow.data import shipped_folder
from mailflow.errors import ConfigError
from tests.core.oracle import MINUTE, Desk, due, french_holidays

SHIPPED = (shipped_folder("rules") / "sla.toml").read_text("utf-8")


def load(folder: Path, text: str):
    (folder / "sla.toml").write_text(text, "utf-8")
    return load_policies(folder)


def edited(old: str, new: str) -> str:
    assert old in SHIPPED
    return SHIPPED.replace(old, new, 1)


def at(text):
    return datetime.fromisoformat(text)


def test_the_shipped_rules_are_the_contract():
    policy = load_policies().sla_for()
    targets = {key: (each.duration, each.clock) for key, each in policy.targets.items()}
    assert targets == {
        1: (timedelta(hours=4), Clock.BUSINESS_HOURS),
        2: (timedelta(hours=48), Clock.WORKING_DAYS),
        3: (timedelta(hours=72), Clock.WORKING_DAYS),
        4: (timedelta(weeks=1), Clock.CALENDAR),
    }
    calendar = policy.calendar
    assert calendar.zone.key == "Europe/Paris"
    assert calendar.hours == (((time(9), time(18)),),) * 5 + ((), ())
    assert policy.reopening_grace == timedelta(days=14)
    assert policy.progress_every == {1: timedelta(hours=1)}
    assert (policy.missing_information.count, policy.missing_information.closes) == (2, True)
    assert policy.confirmation.closes is False  # never a silent closing
    for stages in policy.reminders.values():
        assert stages[-1].at == 1.0 and stages[-1].to is Recipient.SUPERVISOR
        assert any(each.to is Recipient.AGENT for each in stages)


def test_organisations_with_the_same_terms_share_one_policy():
    loaded = load_policies()
    assert loaded.sla_for(None, {}) is loaded.sla_for("default", None)
    assert loaded.sla_for(None, {"1": "2h"}) is loaded.sla_for(None, {"1": "2h"})
    assert loaded.sla_for(None, {"1": "2h"}) != loaded.sla_for()


@pytest.mark.parametrize(
    "day, name",
    [
        (date(2026, 1, 1), "Jour de l'an"),
        (date(2026, 4, 6), "Lundi de Pâques"),
        (date(2026, 5, 1), "Fête du Travail"),
        (date(2026, 5, 25), "Lundi de Pentecôte"),
        (date(2026, 12, 25), "Noël"),
        (date(2026, 4, 3), None),  # Good Friday: Alsace and Moselle only
        (date(2026, 12, 26), None),
        (date(2060, 5, 1), "Fête du Travail"),  # beyond the years that snapshots keep
    ],
)
def test_french_holidays(day, name):
    assert find_holidays("FR")(day) == name


def test_the_shipped_rules_agree_with_the_oracle():
    """With real holidays over eight years, two of them leap years."""
    years = range(2024, 2032)
    closed = frozenset(day for year in years for day in french_holidays(year))
    office = frozenset((weekday, 540, 1080) for weekday in range(5))
    desk = Desk("Europe/Paris", office, closed, date(2023, 12, 25), 8 * 366, 15 * MINUTE)
    clocks = {1: ("business_hours", 4), 2: ("working_days", 48), 3: ("working_days", 72)}
    policy = load_policies().sla_for()
    rng = random.Random("shipped")
    start = at("2024-01-01T00:00:00Z")
    for _ in range(2000):
        priority = rng.choice([1, 2, 3, 4])
        registered = start + timedelta(seconds=rng.randrange(7 * 365 * 86400))
        begin = registered + timedelta(hours=rng.uniform(-5, 100))
        pair = (begin, rng.choice([None, *[begin + timedelta(hours=rng.uniform(0, 99))] * 9]))
        expected = due(desk, *clocks.get(priority, ("calendar", 168)), registered, [pair])
        assert due_at(policy, priority, registered, [Pause(*pair)]) == expected


def test_holidays_of_a_subdivision_and_none():
    assert find_holidays("FR-57")(date(2026, 4, 3)) == "Vendredi saint"
    assert find_holidays("")(date(2026, 1, 1)) is None


def test_a_folder_without_the_file_takes_the_shipped_one(tmp_path):
    assert load_policies(tmp_path).sla_for() == load_policies().sla_for()


def test_no_file_anywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(policies, "find_data_file", lambda *_: None)
    with pytest.raises(ConfigError, match=r"no sla\.toml there"):
        load_policies(tmp_path)


def test_a_calendar_for_an_organisation(tmp_path):
    text = SHIPPED + (
        "\n[calendar.lyon]\nzone = 'Europe/Paris'\nholidays = 'FR'\n"
        "[calendar.lyon.hours]\nsaturday = ['08:00-12:00', '13:00-24:00']\n"
        "[calendar.lyon.closed_days]\n'2026-08-01..2026-08-14' = 'summer'\n'12-26' = 'Christmas'\n"
        "[calendar.lyon.special_days]\n'2026-05-04' = ['10:00-11:00']\n'12-19' = ['08:00-09:00']\n"
    )
    loaded = load(tmp_path, text)
    calendar = loaded.sla_for("lyon").calendar
    assert calendar.hours[5] == ((time(8), time(12)), (time(13), time()))
    assert not calendar.is_working_day(date(2026, 8, 8))
    assert calendar.day(date(2026, 8, 8)).closed == "closed: summer"
    assert calendar.is_working_day(date(2026, 5, 4))
    assert len(calendar.day(date(2026, 12, 19)).spans) == 1
    assert loaded.sla_for().calendar != calendar
    assert loaded.sla_for("lyon").version != loaded.sla_for().version
    snapshot = from_json(to_json(loaded.sla_for("lyon")))
    assert snapshot == loaded.sla_for("lyon")
    with pytest.raises(
        ConfigError, match="calendar 'nice' is not there, expected one of: default, lyon"
    ):
        loaded.sla_for("nice")


def test_targets_of_an_organisation():
    policy = load_policies().sla_for(None, {1: "2h", 2: "8h business_hours"})
    assert policy.target(1).duration == timedelta(hours=2)
    assert policy.target(1).clock is Clock.BUSINESS_HOURS
    assert (policy.target(2).duration, policy.target(2).clock) == (
        timedelta(hours=8),
        Clock.BUSINESS_HOURS,
    )
    assert load_policies().sla_for(None, {"P1": "2h"}).target(1).duration == timedelta(hours=2)


@pytest.mark.parametrize(
    "overrides, words",
    [
        ({1: "-2h"}, "target 1: '-2h': expected a positive duration"),
        ({1: ""}, "target 1: '': expected a positive duration"),
        ({7: "2h"}, "target 7: priority 7: expected one of P1"),
        (
            {1: "2h office"},
            "clock 'office': expected one of business_hours, working_days, calendar",
        ),
        ({1: "30m"}, "reminders.P1: 'escalation': as much time left as the target"),
    ],
)
def test_targets_of_an_organisation_refused(overrides, words):
    with pytest.raises(ConfigError, match=words):
        load_policies().sla_for(None, overrides)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ('time = "4h"', 'time = "-4h"', r"targets\.P1\.time: '-4h': expected a positive duration"),
        ('time = "4h"', 'time = "0h"', r"targets\.P1\.time: '0h': expected a positive"),
        (
            'time = "4h"',
            "time = 4",
            r"targets\.P1\.time: 4: expected a positive duration such as '4h'",
        ),
        ('time = "4h"', 'time = "4 hours x"', "expected a positive duration"),
        (
            '"business_hours" }',
            '"office_hours" }',
            r"targets\.P1\.clock: 'office_hours': expected '",
        ),
        ("P1 = { time", "P5 = { time", r"targets.*priority 'P5': expected one of P1, P2, P3, P4"),
        ('P4 = { time = "1w", clock = "calendar" }', "", "targets: P4 missing; add"),
        ('version = "2026-1"', "", "version: missing; add it"),
        (
            'version = "2026-1"',
            'version = "1"\nversoin = "2"',
            "unknown key 'versoin', .*mean 'version'",
        ),
        (
            'clock = "business_hours"',
            'clock = "business_hours", x = 1',
            r"targets\.P1: unknown key 'x'",
        ),
        ("reminders = 2", "reminders = -1", r"missing_information\.reminders: -1: expected"),
        (
            "reminders = 2",
            'reminders = "2"',
            r"missing_information\.reminders: '2': expected a valid",
        ),
        ("closes = true", 'closes = "yes"', r"missing_information\.closes: 'yes'"),
        (
            "working_days_between = 2",
            "working_days_between = 0",
            "working_days_between: 0: expected",
        ),
        (
            "Europe/Paris",
            "Europe/Pariss",
            r"calendar\.default\.zone: 'Europe/Pariss': this time zone",
        ),
        ("Europe/Paris", "../etc", "this time zone is not known"),
        (
            'holidays = "FR"',
            'holidays = "XX"',
            r"calendar\.default\.holidays: holidays 'XX' are not known",
        ),
        ('holidays = "FR"', 'holidays = "FR-QQ"', "holidays 'FR-QQ' are not known"),
        (
            'monday = ["09:00-18:00"]',
            'monday = ["18:00-09:00"]',
            r"calendar\.default: Monday: .* ends before",
        ),
        (
            'monday = ["09:00-18:00"]',
            'monday = ["09:00-13:00", "12:00-18:00"]',
            r"calendar\.default: Monday: 12:00-18:00 overlaps",
        ),
        (
            'monday = ["09:00-18:00"]',
            'monday = ["9-18"]',
            r"hours\.monday\.0: '9-18': expected a span",
        ),
        ('monday = ["09:00-18:00"]', 'monday = ["09:00-00:00"]', "midnight at its end 24:00"),
        (
            'monday = ["09:00-18:00"]',
            'monday = ["09:00-25:00"]',
            r"hours\.monday\.0: .*hour must be",
        ),
        ('monday = ["09:00-18:00"]', "monday = [9]", r"hours\.monday\.0: 9: expected a span"),
        ("monday =", "mondey =", r"hours: unknown key 'mondey'.*mean 'monday'"),
        (
            "[calendar.default.closed_days]",
            "[calendar.default.closed_days]\n'24/12' = 'x'",
            "'24/12': expected a date",
        ),
        (
            "[calendar.default.closed_days]",
            "[calendar.default.closed_days]\n'02-30' = 'x'",
            "'02-30': expected a date",
        ),
        (
            "[calendar.default.closed_days]",
            "[calendar.default.closed_days]\n'2026-08-02..2026-08-01' = 'x'",
            "the range ends before it starts",
        ),
        (
            "[calendar.default.special_days]",
            "[calendar.default.special_days]\n'12-24' = []",
            r"calendar\.default: 12-24: no span",
        ),
        (
            "[calendar.default]",
            "[calendar.other]",
            r"calendar: expected a table \[calendar\.default\]",
        ),
        ("at = 0.5", "at = 1.5", r"reminders\.P1\.0\.at: 1.5: expected a share"),
        ("at = 0.5", "at = true", "expected a share of the target"),
        ("at = 0.5", 'at = "half"', "'half': expected a positive duration"),
        ("at = 0.5", "at = 0.8", r"reminders\.P1: 'soon': comes before the stage above it"),
        ('name = "soon"', 'name = "half"', r"reminders\.P1: 'half': this name is taken"),
        ('to = "agent"', 'to = "boss"', r"reminders\.P1\.0\.to: 'boss': expected 'agent' or"),
        ("[targets]", "[targets", "cannot be read as TOML"),
    ],
)
def test_a_mistake_names_file_key_and_mend(tmp_path, old, new, words):
    text = edited(old, new)
    if old == "[calendar.default]":
        text = text.replace("[calendar.default.", "[calendar.other.")
    with pytest.raises(ConfigError, match=words) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "sla.toml"))


def test_no_open_time_at_all_is_refused(tmp_path):
    text = SHIPPED.replace('["09:00-18:00"]', "[]")
    with pytest.raises(ConfigError, match=r"calendar\.default: no open time at all"):
        load(tmp_path, text)


def test_a_version_names_its_content(tmp_path):
    shipped = load_policies().sla_for().version
    assert shipped.startswith("2026-1+")
    assert load(tmp_path, SHIPPED).sla_for().version == shipped
    assert load(tmp_path, edited('time = "4h"', 'time = "5h"')).sla_for().version != shipped
    assert (
        load(tmp_path, edited('holidays = "FR"', 'holidays = "FR-57"')).sla_for().version != shipped
    )


def test_a_snapshot_comes_back_as_it_was():
    policy = load_policies().sla_for(None, {1: "3h"})
    again = from_json(to_json(policy))
    assert again == policy
    assert to_json(again) == to_json(policy)


def test_a_snapshot_holds_its_own_holidays():
    """A newer library, or one that forgets a day, moves no deadline already told."""
    policy = load_policies().sla_for()
    content = json.loads(to_json(policy))
    assert content["kept_holidays"]["2026"]["05-25"] == "Lundi de Pentecôte"
    content["kept_holidays"]["2026"]["05-05"] = "a day that the library does not know"
    del content["kept_holidays"]["2026"]["05-01"]
    stored = from_json(json.dumps(content))
    assert not stored.calendar.is_working_day(date(2026, 5, 5))
    assert stored.calendar.is_working_day(date(2026, 5, 1))
    assert not stored.calendar.is_working_day(date(2057, 5, 1))  # not kept: the library's


def test_an_edit_of_the_rules_moves_no_stored_deadline(tmp_path):
    stored = to_json(load_policies().sla_for())
    changed = load(tmp_path, edited('time = "4h"', 'time = "2h"')).sla_for()
    registered = at("2026-05-04T10:00+02:00")
    assert due_at(from_json(stored), 1, registered) == at("2026-05-04T14:00+02:00")
    assert due_at(changed, 1, registered) == at("2026-05-04T12:00+02:00")


def test_a_snapshot_without_holidays():
    policy = load_policies().sla_for()
    bare = replace(policy, calendar=replace(policy.calendar, holidays=Holidays()))
    assert json.loads(to_json(bare))["kept_holidays"] == {}
    assert from_json(to_json(bare)).calendar.is_working_day(date(2026, 5, 1))


@pytest.mark.parametrize("text", ["", "{}", '{"version": 1}', "[]"])
def test_a_broken_snapshot_is_refused(text):
    with pytest.raises(ConfigError, match="stored policy: "):
        from_json(text)


def test_words():
    assert read_duration("1w 2d 3h 4m 5s") == timedelta(
        weeks=1, days=2, hours=3, minutes=4, seconds=5
    )
    assert read_target("1w calendar", Clock.BUSINESS_HOURS).clock is Clock.CALENDAR
    assert span_texts(((time(9), time()),)) == ["09:00-24:00"]

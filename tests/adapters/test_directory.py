from datetime import date, time

import pytest

from mailflow.adapters.directory import load_agents, load_organisations
from mailflow.core.agents import Agent, Role
from mailflow.core.organisations import Organisation
from mailflow.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / "people.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def refused(load, path):
    with pytest.raises(ConfigError) as caught:
        load(path)
    for line in str(caught.value).splitlines():
        assert line.startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def test_organisations(write):
    path = write("""
        [[organisation]]
        name = "Client SA"
        domains = ["Client.Example ", "client.co.uk"]
        addresses = ["Paul@Mail.example"]
        language = "fr"
        contract_start = 2026-01-01
        contract_end = 2026-01-01
        calendar = "lyon"
        targets = { 1 = "2h", 4 = "3 days" }
        [[organisation]]
        name = "Other"
    """)
    assert load_organisations(path) == (
        Organisation(
            "Client SA",
            domains=("client.example", "client.co.uk"),
            addresses=("paul@mail.example",),
            language="fr",
            contract_start=date(2026, 1, 1),
            contract_end=date(2026, 1, 1),
            calendar="lyon",
            targets={"1": "2h", "4": "3 days"},
        ),
        Organisation("Other"),
    )


def test_agents(write):
    path = write("""
        [[agent]]
        name = "Marie"
        address = "Marie@Support.example"
        languages = ["fr", "en"]
        skills = ["edi"]
        supervisor = "Susan@support.example"
        timezone = "Europe/London"
        on_duty = { Monday = ["9:00-12:00", "14:00 - 18:00"], friday = [] }
        [[agent]]
        name = "Susan"
        address = "susan@support.example"
        role = "supervisor"
    """)
    marie, susan = load_agents(path)
    assert marie == Agent(
        "Marie",
        "marie@support.example",
        ("fr", "en"),
        skills=("edi",),
        supervisor="susan@support.example",
        on_duty={0: ((time(9), time(12)), (time(14), time(18))), 4: ()},
        timezone="Europe/London",
    )
    assert susan == Agent("Susan", "susan@support.example", role=Role.SUPERVISOR)


@pytest.mark.parametrize("load", [load_organisations, load_agents])
def test_no_file_and_an_empty_file_mean_nobody(load, write, tmp_path):
    assert load(tmp_path / "missing.toml") == ()
    assert load(write("")) == ()


@pytest.mark.parametrize("load", [load_organisations, load_agents])
@pytest.mark.parametrize("text", ["[[agent", b"name = '\xe9'", "a = 1\na = 2"])
def test_what_is_no_toml(load, text, write):
    assert "cannot be read as TOML" in refused(load, write(text))


def test_a_folder_is_no_file(tmp_path):
    assert "cannot be read" in refused(load_agents, tmp_path)


ORG = '[[organisation]]\nname = "Acme"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[org]]\nname = 'A'", "org: expected only [[organisation]] tables"),
        ("x = 1\ny = 2", "x, y: expected only [[organisation]] tables"),
        ("[organisation]\nname = 'A'", "organisation: expected only [[organisation]] tables"),
        ("organisation = [1]", "organisation: expected only [[organisation]] tables, found 1"),
        ("[[organisation]]", "[[organisation]] number 1: name: is missing; add it"),
        ("[[organisation]]\nname = ''", "name: String should have at least 1 character, found ''"),
        (ORG + "domain = ['a.example']", "Acme: domain: unknown key; did you mean domains?"),
        (ORG + "zzz = 1", "zzz: unknown key; known keys: name, domains, addresses"),
        (
            ORG + "domains = 'a.example'",
            "domains: Input should be a valid tuple, found 'a.example'",
        ),
        (ORG + "domains = ['a@b.example']", "expected a domain such as client.example, found 'a@b"),
        (ORG + "domains = ['com']", "expected a domain such as client.example, found 'com'"),
        (ORG + "domains = ['*.acme.example']", "expected a domain such as client.example"),
        (ORG + "domains = ['.acme.example']", "expected a domain such as client.example"),
        (ORG + "addresses = ['acme.example']", "expected an address such as a@client.example"),
        (ORG + "addresses = ['A <a@b.example>']", "expected an address such as a@client.example"),
        (ORG + "addresses = ['@']", "expected an address such as a@client.example"),
        (ORG + "language = 'French'", "language: String should match pattern"),
        (ORG + "contract_end = 'soon'", "contract_end: Input should be a valid date"),
        (
            ORG + "contract_start = 2026-02-01\ncontract_end = 2026-01-31",
            "[[organisation]] Acme: Acme: contract_end lies before contract_start",
        ),
        (ORG + "targets = { 5 = '1h' }", "targets.5"),
        (
            ORG + "domains = ['a.example']\n[[organisation]]\nname = 'B'\ndomains = ['A.example']",
            "a.example stands in 'Acme' and in 'B'; a sender can belong to one organisation only",
        ),
    ],
)
def test_organisations_that_are_refused(text, message, write):
    assert message in refused(load_organisations, write(text))


def test_every_mistake_of_an_entry_is_named_at_once(write):
    text = refused(load_organisations, write(ORG + "domain = []\nlanguage = 'x'"))
    assert text.count("[[organisation]] Acme: ") == 2


AGENT = '[[agent]]\nname = "Marie"\naddress = "marie@support.example"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[agent]]\nname = 'Marie'", "[[agent]] Marie: address: is missing; add it"),
        ("[[agent]]\nname = 'M'\naddress = 'M <m@x.example>'", "address: String should match"),
        ("[[agent]]\nname = 'M'\naddress = 'm'", "address: String should match"),
        ("[[agent]]\nname = 'M'\naddress = \"m@x.example\\n\"", "address: String should match"),
        (AGENT + "role = 'boss'", "role: Input should be 'agent', 'supervisor' or 'observer'"),
        (AGENT + "languages = ['French']", "languages.0: String should match pattern"),
        (
            AGENT + "timezone = 'Europe/Pariss'",
            "timezone: expected a zone name such as Europe/Paris",
        ),
        (AGENT + "timezone = ''", "timezone: expected a zone name such as Europe/Paris"),
        (AGENT + "on_duty = { lundi = [] }", "on_duty.lundi: expected one of monday, tuesday"),
        (
            AGENT + "on_duty = { monday = ['morning'] }",
            "expected hours such as '09:00-18:00', found",
        ),
        (AGENT + "on_duty = { monday = ['09:00'] }", "expected hours such as '09:00-18:00', found"),
        (AGENT + "on_duty = { monday = ['09:00-24:00'] }", "expected hours such as '09:00-18:00'"),
        (
            AGENT + "on_duty = { monday = ['09:00Z-18:00Z'] }",
            "expected hours such as '09:00-18:00'",
        ),
        (AGENT + "on_duty = { monday = ['18:00-09:00'] }", "'18:00-09:00' ends before it begins"),
        (AGENT + "on_duty = { monday = ['09:00-09:00'] }", "ends before it begins"),
        (
            AGENT
            + AGENT.upper()
            .replace("AGENT", "agent")
            .replace("NAME", "name")
            .replace("ADDRESS", "address"),
            "marie@support.example stands there twice; keep one [[agent]]",
        ),
        (AGENT + "supervisor = 'x@support.example'", "supervisor x@support.example is no agent of"),
    ],
)
def test_agents_that_are_refused(text, message, write):
    assert message in refused(load_agents, write(text))

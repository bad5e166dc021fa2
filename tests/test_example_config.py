"""The example files explain every key, and work as they are."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from mailflow.adapters.directory import (
    AgentForm,
    OrganisationForm,
    load_agents,
    load_organisations,
)
from mailflow.adapters.policies import load_policies
from mailflow.config import load_config
from mailflow.core.agents import Role
from mailflow.settings import SECRET_KEYS, Config

TOP = Path(__file__).resolve().parent.parent
EXAMPLE = TOP / "config.example.toml"
ORGANISATIONS = TOP / "docs/examples/organisations.example.toml"
AGENTS = TOP / "docs/examples/agents.example.toml"


def sections() -> dict[str, type[BaseModel]]:
    """Return the model of each table of the configuration."""
    found = {}
    for name, field in Config.model_fields.items():
        kinds: list[Any] = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found[name] = kind
    return found


def written_keys(text: str) -> dict[str, dict[str, str]]:
    """Return section → key → value as written, commented-out keys too."""
    found: dict[str, dict[str, str]] = {}
    section = ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"(?:# )?\[(\w+)\]", line):
            section = heading[1]
            found[section] = {}
        elif key := re.fullmatch(r"(?:# )?([a-z0-9_]+) = (.+)", line):
            found[section][key[1]] = key[2]
    return found


def test_the_example_loads() -> None:
    config = load_config(EXAMPLE)
    assert config.support.address == "support@support.example"
    assert config.files.agents == TOP / "agents.toml"


@pytest.mark.parametrize("section", sections())
def test_the_example_has_every_key_and_no_other(section: str) -> None:
    assert set(written_keys(EXAMPLE.read_text("utf-8"))[section]) == set(
        sections()[section].model_fields
    )


@pytest.mark.parametrize("section", sections())
def test_the_example_shows_the_defaults(section: str) -> None:
    data = tomllib.loads(EXAMPLE.read_text("utf-8"))
    if Config.model_fields[section].default is None and section not in data:  # an option, off
        data = tomllib.loads(switched_on(section))
    data = data[section]
    shown_as_examples = {"authserv_id", "username", *SECRET_KEYS}  # None by default
    for key, field in sections()[section].model_fields.items():
        if field.is_required() or key in shown_as_examples:
            continue
        default = field.default
        if default is None:
            assert key not in data, f"{key} is not set by default"
        else:
            plain = str(default) if isinstance(default, Path) else default
            assert data[key] == (list(plain) if isinstance(plain, tuple) else plain), key


def switched_on(section: str) -> str:
    """Return the example with a section that is commented out, and its defaults, switched on."""
    before, _, after = EXAMPLE.read_text("utf-8").partition(f"# [{section}]\n")
    kept = re.sub(
        r"^# ((?:" + "|".join(SECRET_KEYS[1:]) + r"|ca_file) = )", r"#\1", after, flags=re.M
    )
    body, gap, rest = kept.partition("\n\n")
    body = re.sub(r"^# ([a-z0-9_]+ = )", r"\1", body, flags=re.M)
    return f"{before}[{section}]\n{body}{gap}{rest}"


def test_each_commented_key_may_be_switched_on() -> None:
    for section, keys in written_keys(EXAMPLE.read_text("utf-8")).items():
        for key, value in keys.items():
            data = tomllib.loads(EXAMPLE.read_text("utf-8"))
            if section not in data:
                data = tomllib.loads(switched_on(section))
            if key in SECRET_KEYS:
                data[section].pop("password_env")
            data[section][key] = tomllib.loads(f"v = {value}")["v"]
            Config.model_validate(data)


def test_every_key_is_explained() -> None:
    """A comment stands above each key, or above the run of keys that it belongs to."""
    previous = ""
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if re.match(r"(# )?[a-z0-9_]+ = ", line):
            assert previous and "[" not in previous[:3], line
        previous = line


def test_the_example_organisations_load_under_the_shipped_rules() -> None:
    organisations = load_organisations(ORGANISATIONS)
    assert [each.name for each in organisations] == ["Client SA", "Northwind Ltd"]
    for each in organisations:
        load_policies().sla_for(each.calendar, each.targets)
    words = ORGANISATIONS.read_text("utf-8")
    assert all(key in words for key in OrganisationForm.model_fields)


def test_the_example_agents_load_and_show_every_key() -> None:
    agents = load_agents(AGENTS)
    assert Role.SUPERVISOR in {agent.role for agent in agents}
    words = AGENTS.read_text("utf-8")
    assert all(key in words for key in AgentForm.model_fields)

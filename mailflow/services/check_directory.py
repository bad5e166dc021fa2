"""Check who has a contract and who works here."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from mailflow.adapters.directory import load_agents, load_organisations
from mailflow.adapters.policies import load_policies
from mailflow.adapters.render import Renderer
from mailflow.core.agents import Agent, Role
from mailflow.core.organisations import ContractStatus, Organisation, contract_status
from mailflow.errors import ConfigError
from mailflow.services.check_rows import Row, count, fails, holds, warns
from mailflow.settings import Config


def check_organisations(config: Config, today: date) -> Iterator[Row]:
    """Who has a contract, whether it runs on `today`, and in which language they are written to."""
    path = config.files.organisations
    organisations = load_organisations(path)
    if not organisations:
        yield _no_organisations(config)
        return
    yield holds("Organisations", f"{count(organisations, 'organisation')} in {path.name}")
    policies = load_policies(config.files.rules)
    for organisation in organisations:
        try:
            policies.sla_for(organisation.calendar, organisation.targets)
        except ConfigError as error:
            yield fails("Organisations", f"{organisation.name}: {error}", f"mend it in {path}")
        if not organisation.domains and not organisation.addresses:
            yield warns(
                "Organisations",
                f"{organisation.name} has neither domains nor addresses: nobody belongs to it",
                f'add domains = ["client.example"] to it in {path.name}',
            )
    yield from _ended(organisations, today, path)
    languages = Renderer(config.files.templates, config.support.timezone).languages
    for organisation in organisations:
        if organisation.language is not None and organisation.language not in languages:
            yield warns(
                "Organisations",
                f"{organisation.name}: there are no templates in {organisation.language!r}; "
                f"{config.support.default_language!r} is used instead",
                f"translate templates/{config.support.default_language} into "
                f"templates/{organisation.language}, or change the language in {path.name}",
            )


def _no_organisations(config: Config) -> Row:
    path = config.files.organisations
    found = f"{path.name} names none" if path.exists() else f"there is no {path}"
    policy = config.support.unknown_sender
    mend = f"add an [[organisation]] with the client's mail domain to {path.name}"
    if policy == "accept":
        return holds("Organisations", f'{found}; unknown_sender = "accept" serves everybody')
    fate = {"hold": "every mail is held for an agent", "refuse": "every client is refused"}
    return warns("Organisations", f"{found}: {fate[policy]}", mend)


def _ended(organisations: tuple[Organisation, ...], today: date, path: Path) -> Iterator[Row]:
    for organisation in organisations:
        if contract_status(organisation, today) is ContractStatus.ENDED:
            yield warns(
                "Organisations",
                f"the contract of {organisation.name} ended on {organisation.contract_end}: "
                "its mails get no ticket",
                f"prolong contract_end in {path.name}, or leave it if that is right",
            )


def check_agents(config: Config) -> Iterator[Row]:
    """Who answers tickets, and who answers for deadlines."""
    path = config.files.agents
    agents = load_agents(path)
    working = [agent for agent in agents if agent.role is not Role.OBSERVER]
    if not working:
        found = f"there is no {path}" if not path.exists() else f"{path.name} names none"
        yield warns(
            "Agents",
            f"{found}: tickets are registered, but nobody is told of them",
            f"add an [[agent]] with name and address to {path.name}",
        )
        return
    yield holds("Agents", f"{count(working, 'agent')} in {path.name}")
    if not any(agent.role is Role.SUPERVISOR for agent in agents):
        yield warns(
            "Agents",
            "nobody is a supervisor: deadlines that come near or pass are told to agents only",
            f'give one agent role = "supervisor" in {path.name}',
        )
    for agent in agents:
        if agent.address in config.support.own_addresses:
            yield fails(
                "Agents",
                f"{agent.name} has the desk's own address {agent.address}: mails would circle",
                f"give the agent a personal address in {path.name}",
            )
    yield from _agents_languages(config, agents)


def _agents_languages(config: Config, agents: tuple[Agent, ...]) -> Iterator[Row]:
    languages = Renderer(config.files.templates, config.support.timezone).languages
    for agent in agents:
        if agent.language is not None and agent.language not in languages:
            yield warns(
                "Agents",
                f"{agent.name}: there are no templates in {agent.language!r}",
                f"begin languages with one of {', '.join(sorted(languages))}",
            )

"""A desk ready for work: configuration, rules, directory, database and templates, loaded once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from mailflow.adapters.database import Database, open_database
from mailflow.adapters.directory import load_agents, load_organisations
from mailflow.adapters.policies import Policies, load_policies
from mailflow.adapters.render import Renderer
from mailflow.adapters.triage_process import TriageProcess
from mailflow.adapters.triager import Triager
from mailflow.core.agents import Agent
from mailflow.core.organisations import Organisation
from mailflow.core.policy import SlaPolicy
from mailflow.errors import ConfigError
from mailflow.settings import Config
from mailflow.workers import worker_name


def utc_now() -> datetime:
    """The clock of production; tests and the demo bring their own."""
    return datetime.now(UTC)


@dataclass
class Desk:
    """What every service needs. `clock` returns the aware UTC instant that counts as now."""

    config: Config
    database: Database
    organisations: tuple[Organisation, ...]
    agents: tuple[Agent, ...]
    policies: Policies
    renderer: Renderer
    clock: Callable[[], datetime] = utc_now
    worker: str = field(default_factory=worker_name)
    memory: dict[str, object] = field(default_factory=dict, repr=False)  # of this very process
    _policies: dict[str | None, SlaPolicy] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def triager(self) -> Triager | TriageProcess:
        """The triage models and rules; loading them takes a second or two."""
        return Triager.load(self.config.files.rules, self.config.files.model)

    def triage_apart(self) -> None:
        """From now on triage in a process of its own, which starts to load at once."""
        self.triager = TriageProcess(self.config.files.rules, self.config.files.model)
        self.triager.start()

    def end_triage(self) -> None:
        """End the process that triages, where there is one."""
        triager = self.__dict__.get("triager")  # asked for by its name it would be loaded now
        if isinstance(triager, TriageProcess):
            triager.close()

    @property
    def zone(self) -> ZoneInfo:
        """The desk's time zone."""
        return ZoneInfo(self.config.support.timezone)

    def find_organisation_by_name(self, name: str | None) -> Organisation | None:
        """Return the organisation called `name`, or None."""
        return next((each for each in self.organisations if each.name == name), None)

    def policy_for(self, organisation: Organisation | None) -> SlaPolicy:
        """Return the SLA policy that a new ticket of `organisation` gets."""
        name = organisation.name if organisation else None
        if name not in self._policies:
            calendar = organisation.calendar if organisation else None
            targets = organisation.targets if organisation else None
            self._policies[name] = self.policies.sla_for(calendar, targets)
        return self._policies[name]


def open_desk(config: Config, clock: Callable[[], datetime] = utc_now) -> Desk:
    """Load all that `config` names and bring the database up to date.

    Raises ConfigError or GatewayError with a message for the operator.
    """
    renderer = Renderer(config.files.templates, config.support.timezone)
    if config.support.default_language not in renderer.languages:
        raise ConfigError(
            f"{config.path}: support.default_language: there are no templates for "
            f"{config.support.default_language!r}, only for {', '.join(sorted(renderer.languages))}"
        )
    organisations = load_organisations(config.files.organisations)
    policies = load_policies(config.files.rules)
    for organisation in organisations:  # refused at start, not at the first mail
        policies.sla_for(organisation.calendar, organisation.targets)
    return Desk(
        config=config,
        database=open_database(config.database.url),
        organisations=organisations,
        agents=load_agents(config.files.agents),
        policies=policies,
        renderer=renderer,
        clock=clock,
    )

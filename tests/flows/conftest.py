"""Fixtures of the flow tests."""

from collections.abc import Callable

import pytest

from mailflow.adapters.render import Renderer
from tests.factories_desk import DeskFactory, MovableClock
from tests.flows.office import CLAIRE, Office, write
from tests.flows.reader import Reader
from tests.flows.words import FULL_FR

OpenOffice = Callable[..., Office]


@pytest.fixture(scope="session")
def templates() -> Renderer:
    """The shipped templates, compiled once for all offices."""
    return Renderer(None, "Europe/Paris")


@pytest.fixture
def open_office(desk_factory: DeskFactory, templates: Renderer) -> OpenOffice:
    """Open an office: `open_office(support={"unknown_sender": "refuse"})`.

    `agents` and `organisations` are TOML that replaces the files.
    """

    def open_it(
        name: str = "desk", *, agents: str = "", organisations: str = "", **sections: object
    ) -> Office:
        clock = MovableClock()
        files: dict[str, object] = dict(sections.pop("files", {}))  # type: ignore[call-overload]
        folder = desk_factory.config(name).parent
        for key, text in (("agents", agents), ("organisations", organisations)):
            if text:
                (folder / f"our-{key}.toml").write_text(text, "utf-8")
                files[key] = f"our-{key}.toml"
        desk = desk_factory(name, clock, files=files, **sections)  # type: ignore[arg-type]
        desk.triager = Reader()  # type: ignore[assignment]
        desk.renderer = templates
        return Office(desk, clock)

    return open_it


@pytest.fixture
def office(open_office: OpenOffice) -> Office:
    """The office of the tests: Client SA, agents Alice and Bob, supervisor Sylvie."""
    return open_office()


@pytest.fixture
def registered(office: Office) -> Office:
    """An office with one registered ticket, of Claire's, with Alice in charge."""
    office.receive(write(CLAIRE, "Export impossible", FULL_FR))
    assert office.ticket().reference == "MF-2026-000001"
    return office

"""Sweeps of several workers on PostgreSQL: none waits for another, none sends twice."""

import pytest

from mailflow.adapters.tables import Ticket
from mailflow.services.sweep import sweep
from tests.servers.postgresql import PostgreSQL, find_postgresql
from tests.services.life import registered, stages

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def server():
    with PostgreSQL(find_postgresql()) as running:
        yield running


def test_a_ticket_that_another_worker_holds_is_left_to_the_next_sweep(server, desk_factory, clock):
    url = f"{server.new_database()}?options=-clock_timeout%3D5s"  # a wait is an error
    desk = desk_factory("postgresql", clock, database={"url": url})
    held, free = registered(desk, 1), registered(desk, 1)
    clock.advance(hours=2)
    with desk.database.begin() as session:
        session.get_one(Ticket, held, with_for_update=True)
        assert sweep(desk) == 1 + 1  # deadline and progress prompt of the other ticket
    assert stages(desk, held, "sent") == []
    assert stages(desk, free, "sent") == ["half"]
    assert sweep(desk) == 2
    assert stages(desk, held, "sent") == ["half"]

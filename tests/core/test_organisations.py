from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailflow.core.organisations import (
    ContractStatus,
    Organisation,
    contract_status,
    find_organisation,
)

ACME = Organisation("Acme", domains=("acme.example",))
ACME_LYON = Organisation("Acme Lyon", domains=("lyon.acme.example",))
FREELANCE = Organisation("Freelance", addresses=("paul@mail.example",))
GUEST = Organisation("Guest", addresses=("guest@acme.example",))
ALL = (ACME, ACME_LYON, FREELANCE, GUEST)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("ann@acme.example", "Acme"),
        ("Ann@ACME.Example", "Acme"),  # case does not matter
        ("ann@eu.acme.example", "Acme"),  # a domain covers its subdomains
        ("ann@lyon.acme.example", "Acme Lyon"),  # the longest domain wins, whatever the order
        ("ann@x.lyon.acme.example", "Acme Lyon"),
        ("guest@acme.example", "Guest"),  # a full address goes before the domain
        ("paul@mail.example", "Freelance"),
        ("peter@mail.example", None),  # an address covers nobody else of its provider
        ("ann@notacme.example", None),  # a look-alike that ends the same
        ("ann@acme.example.evil.example", None),  # … or begins the same
        ("ann@example", None),  # a parent of the domain
        ("ann@acme.example.", None),  # not how mail is addressed
        ("acme.example", None),  # no address at all
        ("", None),
        ("ann@acme.example@evil.example", None),  # the last '@' counts
        ("ann@аcme.example", None),  # a Cyrillic 'а'
    ],
)
def test_find_organisation(address, name):
    found = find_organisation(ALL, address)
    assert (found.name if found else None) == name
    assert find_organisation(tuple(reversed(ALL)), address) is found


@given(st.text(max_size=30))
def test_only_the_domain_decides(local):
    assert find_organisation(ALL, f"{local}@other.example") is None


@pytest.mark.parametrize(
    ("start", "end", "today", "status"),
    [
        (None, None, "2026-03-03", "running"),  # no term: it runs
        ("2026-03-03", None, "2026-03-03", "running"),  # the first day counts
        ("2026-03-04", None, "2026-03-03", "not_begun"),
        (None, "2026-03-03", "2026-03-03", "running"),  # the last day counts
        (None, "2026-03-02", "2026-03-03", "ended"),
        ("2026-03-03", "2026-03-03", "2026-03-03", "running"),  # a contract of one day
        ("2025-01-01", "2025-12-31", "2026-03-03", "ended"),
        ("2027-01-01", "2027-12-31", "2026-03-03", "not_begun"),
    ],
)
def test_contract_status(start, end, today, status):
    organisation = Organisation(
        "Acme",
        contract_start=date.fromisoformat(start) if start else None,
        contract_end=date.fromisoformat(end) if end else None,
    )
    assert contract_status(organisation, date.fromisoformat(today)) is ContractStatus(status)


def test_nobody_has_an_unknown_contract():
    assert contract_status(None, date(2026, 3, 3)) is ContractStatus.UNKNOWN

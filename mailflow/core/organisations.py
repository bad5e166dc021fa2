"""Who has a contract: organisations, and whether a sender's contract runs today."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Organisation:
    """A client under contract. Addresses and domains are in lower case."""

    name: str
    domains: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    language: str | None = None
    contract_start: date | None = None
    contract_end: date | None = None  # the last day of the contract; None: no end
    calendar: str | None = None  # a calendar of rules/sla.toml; None: the default one
    targets: Mapping[str, str] = field(default_factory=dict)  # e.g. {"1": "2h"}


class ContractStatus(StrEnum):
    """Whether a sender may have tickets. Source: contract, 'pendant la durée du Contrat'."""

    RUNNING = "running"
    NOT_BEGUN = "not_begun"
    ENDED = "ended"
    UNKNOWN = "unknown"


def find_organisation(organisations: Sequence[Organisation], address: str) -> Organisation | None:
    """Return the organisation that `address` belongs to: by full address first, then by domain.

    A domain covers its subdomains; the longest matching domain wins.
    """
    if "@" not in address:
        return None
    address = address.lower()
    for organisation in organisations:
        if address in organisation.addresses:
            return organisation
    labels = address.rpartition("@")[2].split(".")
    for start in range(len(labels)):
        domain = ".".join(labels[start:])
        for organisation in organisations:
            if domain in organisation.domains:
                return organisation
    return None


def contract_status(organisation: Organisation | None, today: date) -> ContractStatus:
    """Say whether the contract runs on `today`, a date in the desk's zone. Both ends count."""
    if organisation is None:
        return ContractStatus.UNKNOWN
    if organisation.contract_start is not None and today < organisation.contract_start:
        return ContractStatus.NOT_BEGUN
    if organisation.contract_end is not None and today > organisation.contract_end:
        return ContractStatus.ENDED
    return ContractStatus.RUNNING

"""What is known of a mail when its class is decided, and the decision."""

from dataclasses import dataclass, field

from mailflow.core.messages import Bounce, MessageClass


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a mail when its class is decided."""

    headers: tuple[tuple[str, str], ...]
    senders: tuple[str, ...] = ()  # addresses, lower case
    subject: str = ""
    text: str = ""
    new_text: str = ""
    content_type: str = "text/plain"
    parameters: tuple[tuple[str, str], ...] = ()  # of Content-Type
    part_types: tuple[str, ...] = ()
    calendar_method: str = ""
    bounce: Bounce | None = None
    delivered: bool = False  # a report of success: RFC 3464 'delivered', 'relayed', 'expanded'
    own_addresses: frozenset[str] = frozenset()
    by_name: dict[str, tuple[str, ...]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        by_name: dict[str, tuple[str, ...]] = {}
        for name, value in self.headers:
            key = name.lower()
            by_name[key] = (*by_name.get(key, ()), value)
        object.__setattr__(self, "by_name", by_name)

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of the header `name` (lower case)."""
        return self.by_name.get(name, ())

    def parameter(self, name: str) -> str:
        """A parameter of Content-Type, lower case, or ''."""
        return next((v.lower() for k, v in self.parameters if k.lower() == name), "")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A class, the reason for it, and the bounce if it is one."""

    message_class: MessageClass
    reason: str
    bounce: Bounce | None = None

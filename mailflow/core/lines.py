"""Lines of a body, and what the markup or the '>' before them says of them."""

from dataclasses import dataclass
from enum import IntEnum


class Mark(IntEnum):
    """What the HTML of a mail says of a line. A greater one wins over a lesser."""

    NONE = 0
    SIGNATURE = 1
    QUOTED = 2
    ANSWER = 3  # written in colour inside a quoted mail


class Label(IntEnum):
    """What a line turned out to be."""

    NEW = 0
    QUOTE = 1
    SIGNATURE = 2
    FORWARD = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a body, without its line end."""

    text: str
    mark: Mark = Mark.NONE

"""A disk that has lost its power: what was synced is there, of the rest nothing or anything."""

import itertools
import random
from pathlib import Path

from tests.reliability.power_record import (
    Create,
    Delete,
    Record,
    Step,
    Sync,
    SyncFolder,
    Truncate,
    Write,
)

SECTOR = 512  # bytes that a disk writes as a whole or not at all


class Disk:
    """What a disk holds after each step of a record."""

    def __init__(self, record: Record) -> None:
        self._contents = {
            number: bytearray(each) for number, each in enumerate(record.start.values())
        }
        self._names = {name: number for number, name in enumerate(record.start)}
        self._unsynced: dict[int, list[Write | Truncate]] = {}
        self._unsynced_names: list[Create | Delete] = []

    def take(self, step: Step) -> None:
        """Let one step of the record happen."""
        match step:
            case Write() | Truncate():
                self._unsynced.setdefault(step.number, []).append(step)
            case Sync():
                for each in self._unsynced.pop(step.number, ()):
                    _apply(self._contents[step.number], each)
            case Create():
                self._contents[step.number] = bytearray()
                self._unsynced_names.append(step)
            case Delete():
                self._unsynced_names.append(step)
            case SyncFolder():
                self._names = self._names_after(self._unsynced_names)
                self._unsynced_names.clear()

    def without_unsynced(self) -> dict[str, bytes]:
        """Return the files after a cut that took all that was not synced."""
        return {name: bytes(self._contents[number]) for name, number in self._names.items()}

    def with_some_unsynced(self, chance: random.Random) -> dict[str, bytes]:
        """Return the files after a cut that took any part of what was not synced.

        Of one write that was on its way, some sectors were written and the others not.
        """
        names = self._names_after([each for each in self._unsynced_names if chance.random() < 0.5])
        writes = [each for each in self._all_unsynced() if isinstance(each, Write)]
        long = [each for each in writes if len(_sectors(each)) > 1]
        torn = chance.choice(long) if long else None
        share = chance.choice((0.1, 0.5, 0.9))
        files = {}
        for name, number in names.items():
            content = bytearray(self._contents[number])
            for each in self._unsynced.get(number, ()):
                if each is torn:
                    _tear(content, torn, chance)
                elif chance.random() < share:
                    _apply(content, each)
            files[name] = bytes(content)
        return files

    def _all_unsynced(self) -> list[Write | Truncate]:
        return [each for steps in self._unsynced.values() for each in steps]

    def _names_after(self, steps: list[Create | Delete]) -> dict[str, int]:
        names = dict(self._names)
        for step in steps:
            if isinstance(step, Create):
                names[step.name] = step.number
            else:
                names.pop(step.name, None)
        return names


def put(files: dict[str, bytes], folder: Path) -> None:
    """Write `files` into `folder`, in the place of what databases it held."""
    for old in folder.glob("*.db*"):
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _apply(content: bytearray, step: Write | Truncate) -> None:
    if isinstance(step, Truncate):
        del content[step.size :]
        content.extend(bytes(step.size - len(content)))
        return
    content.extend(bytes(max(step.offset - len(content), 0)))
    content[step.offset : step.offset + len(step.data)] = step.data


def _sectors(write: Write) -> list[Write]:
    """Split a write where the disk's sectors meet."""
    end = write.offset + len(write.data)
    inner = range((write.offset // SECTOR + 1) * SECTOR, end, SECTOR)
    edges = [write.offset, *inner, end]
    return [
        Write(write.number, start, write.data[start - write.offset : stop - write.offset])
        for start, stop in itertools.pairwise(edges)
    ]


def _tear(content: bytearray, write: Write, chance: random.Random) -> None:
    """Write a part of the sectors, not none and not all."""
    sectors = _sectors(write)
    for each in sorted(chance.sample(range(len(sectors)), chance.randrange(1, len(sectors)))):
        _apply(content, sectors[each])

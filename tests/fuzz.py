"""Mutate the corpus of awkward mails and parse what comes out.

`python -m tests.fuzz --count 100000` runs until done and prints what it met; the same seed gives
the same mails. It fails on an exception, a parse above two seconds, or a process above 300 MB.
"""

import argparse
import random
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mailflow.adapters.parse import parse_message
from mailflow.core.messages import InboundMessage

MAILS = Path(__file__).parent / "data" / "mails"
MAX_SECONDS = 2.0
MAX_MEGABYTES = 300
_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\0", b"--", b"=?utf-8?B?", b"=?utf-8?Q?", b"?=", b'"', b"<", b">", b";",
    b":", b",", b"(", b")", b"@", b"\\", b"\xff", b"\xc3", b"Content-Type: ", b"boundary=", b"charset=",
    b"filename*0*=", b"multipart/mixed", b"message/rfc822", b"base64", b"> ", b"\n\n", b"wrote:",
    b"De : ", b"On ", b"<div>", b"<blockquote type=cite>", b"</div>", b"=\n", b"begin 644 x\n", b"\t",
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What a run met."""

    count: int = 0
    slowest: float = 0.0
    slowest_seed: str = ""
    failures: list[str] | None = None


def mutate(raw: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return `raw` damaged in one to six ways: bytes, lines, tokens, pieces of other mails."""
    data = bytearray(raw or b"\n")
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(9)
        if kind == 0:
            data[at:at] = chance.choice(_TOKENS)
        elif kind == 1:
            del data[at : at + chance.randint(1, 60)]
        elif kind == 2 and data:
            for _ in range(chance.randint(1, 20)):
                data[chance.randrange(len(data))] = chance.randrange(256)
        elif kind == 3:
            data[at:at] = chance.choice(_TOKENS) * chance.choice((3, 30, 300, 3000))
        elif kind == 4:
            other = chance.choice(others) or b"\n"
            start = chance.randrange(len(other))
            data[at:at] = other[start : start + chance.randint(1, 2000)]
        elif kind == 5:
            lines = bytes(data).split(b"\n")
            chance.shuffle(lines)
            data = bytearray(b"\n".join(lines))
        elif kind == 6:
            piece = data[at : at + chance.randint(1, 200)]
            data[at:at] = piece * chance.choice((2, 10, 100))
        elif kind == 7:
            data = bytearray(data[:at])
        else:
            header, _, body = bytes(data).partition(b"\n\n")
            line = chance.choice(header.split(b"\n") or [b""])
            data = bytearray(line + b"\n" + header + b"\n\n" + body)
        if len(data) > 2_000_000:
            data = data[:2_000_000]
        if not data:
            data = bytearray(b"\n")
    return bytes(data)


def mutated_mails(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` damaged mails with a name that tells how to make each again."""
    files = sorted(MAILS.glob("*.eml"))
    sources = [file.read_bytes() for file in files]
    for number in range(count):
        chance = random.Random(seed * 1_000_003 + number)
        which = chance.randrange(len(sources))
        yield f"{files[which].stem}#{seed}/{number}", mutate(sources[which], sources, chance)


def check(message: InboundMessage) -> None:
    """What holds for every parsed mail."""
    for name, value in message.headers:
        assert not set("\r\n\0") & set(name + value), f"control character in header {name}"
    for text in (
        message.subject,
        message.text,
        message.new_text,
        message.quoted,
        message.signature,
    ):
        assert "\0" not in text
        text.encode("utf-8")
    for attachment in message.attachments:
        assert attachment.filename
        assert len(attachment.filename) <= 120
        assert not set("/\\\r\n\0") & set(attachment.filename)
    for address in (*message.senders, *message.to, *message.cc, *message.reply_to):
        assert not set("\r\n\0") & set(address.name + address.address)


def run(count: int, seed: int, *, progress: bool = False) -> Tally:
    """Parse `count` mutated mails; gather failures rather than stop at the first."""
    tally = Tally(failures=[])
    assert tally.failures is not None
    for name, raw in mutated_mails(count, seed):
        started = time.process_time()
        try:
            check(parse_message(raw, frozenset({"support@desk.example"})))
        except Exception as error:
            tally.failures.append(f"{name}: {type(error).__name__}: {error}")
        took = time.process_time() - started
        tally.count += 1
        if took > tally.slowest:
            tally.slowest, tally.slowest_seed = took, name
        if took > MAX_SECONDS:
            tally.failures.append(f"{name}: took {took:.1f} s")
        if progress and tally.count % 2000 == 0:
            print(
                f"{tally.count} mails, slowest {tally.slowest:.2f} s, {peak_megabytes()} MB",
                flush=True,
            )
    if peak_megabytes() > MAX_MEGABYTES:
        tally.failures.append(f"memory rose to {peak_megabytes()} MB")
    return tally


def peak_megabytes() -> int:
    """The most memory this process ever held, not counting what its parent held before."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    started = time.monotonic()
    tally = run(arguments.count, arguments.seed, progress=True)
    print(
        f"{tally.count} mails in {time.monotonic() - started:.0f} s, slowest {tally.slowest:.2f} s "
        f"({tally.slowest_seed}), {peak_megabytes()} MB, {len(tally.failures or [])} failures"
    )
    for failure in (tally.failures or [])[:50]:
        print(failure)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())

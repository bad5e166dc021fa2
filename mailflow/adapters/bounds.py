"""Limits put on a raw mail before any library reads it, so that none takes minutes or gigabytes.

What is cut is only what is read: the raw mail is kept elsewhere, whole. Each cut is a defect.
"""

import binascii
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

MAX_READ = 4 * 1024 * 1024  # bytes left to the MIME parser once long base64 is set apart
MAX_BOUNDARY_LINES = 1000
MAX_BOUNDARIES = 60
MAX_MIME_HEADER = 2000

_BASE64_RUN = re.compile(rb"(?:[A-Za-z0-9+/]{56,76}\r?\n){400,}")
_SHORTEST_RUN = 400 * 57
_NUMBER = re.compile(rb"\d{6}")
_BOUNDARY = re.compile(rb"boundary\s{0,9}=\s{0,9}\"?([^\"\s;]{1,200})", re.IGNORECASE)
_DELIMITER = re.compile(rb"(?:^|[\r\n])--([^\r\n]{1,200})")
_MIME_HEADER = re.compile(
    rb"[\r\n]content-(?:type|disposition|id|description)[ \t]{0,20}:", re.IGNORECASE
)
_CONTINUED = re.compile(rb"[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*")


@dataclass(frozen=True, slots=True)
class Slices:
    """Long runs of base64 lines set apart from a body, where `mark` and a number stand for each.

    The mark is drawn anew for each mail, so that no sender can write one and multiply a run.
    """

    mark: bytes
    runs: tuple[bytes, ...]

    def restore_decoded(self, content: bytes) -> bytes:
        """Put the runs, decoded, back into the decoded `content` of a base64 part."""
        return self._restore(content, self.mark, 6, lambda found: found, binascii.a2b_base64)

    def restore_encoded(self, content: bytes) -> bytes:
        """Put the runs, as they stood, back into a part that was not base64."""
        mark = binascii.b2a_base64(self.mark, newline=False)
        return self._restore(content, mark, 8, binascii.a2b_base64, lambda run: run)

    def _restore(
        self,
        content: bytes,
        mark: bytes,
        width: int,
        read: Callable[[bytes], bytes],
        turn: Callable[[bytes], bytes],
    ) -> bytes:
        if not self.runs or mark not in content:
            return content
        pieces = content.split(mark)
        result = [pieces[0]]
        for piece in pieces[1:]:
            number = read(piece[:width])
            if not _NUMBER.fullmatch(number) or int(number) >= len(self.runs):
                result += [mark, piece]
                continue
            result += [turn(self.runs[int(number)]), piece[width:]]
        return b"".join(result)


@dataclass(frozen=True, slots=True)
class BoundedMail:
    """What is left of a body for the MIME parser, and the base64 runs that were set apart."""

    body: bytes
    slices: Slices
    defects: tuple[str, ...]


def bound_body(body: bytes, content_type: str) -> BoundedMail:
    """Make `body` safe to parse: few enough parts, not too deep, not too large."""
    defects: list[str] = []
    slices = Slices(b"", ())
    if len(body) >= _SHORTEST_RUN:
        body, slices = set_base64_apart(body)
    if len(body) > MAX_READ:
        defects.append(f"body of {len(body)} bytes: only the first {MAX_READ} were read")
        body = body[:MAX_READ]
    if b"\r" in body and body.count(b"\r") != body.count(b"\r\n"):
        body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        defects.append("lone carriage returns in the body")
    body = _limit_mime_headers(body, defects)
    body = _limit_parts(body, content_type, defects)
    return BoundedMail(body, slices, tuple(defects))


def set_base64_apart(body: bytes) -> tuple[bytes, Slices]:
    """Replace each long run of base64 lines by a short piece of base64 that stands for it."""
    mark = b"mf" + secrets.token_hex(5).encode("ascii")  # 12 bytes: no base64 padding
    runs: list[bytes] = []

    def replace(match: re.Match[bytes]) -> bytes:
        run = match.group()
        # An encoder that breaks lines inside a quantum: leave the run where it is.
        if len(run.translate(None, b"\r\n")) % 4 or len(runs) >= 1000:
            return run
        runs.append(run)
        return binascii.b2a_base64(mark + b"%06d" % (len(runs) - 1), newline=False) + b"\r\n"

    return _BASE64_RUN.sub(replace, body), Slices(mark, tuple(runs))


def _limit_mime_headers(body: bytes, defects: list[str]) -> bytes:
    """Cut MIME headers whose parameters are absurdly long: reading them is quadratic."""
    if body.count(b";") < 100:
        return body
    pieces: list[bytes] = []
    position = 0
    for match in _MIME_HEADER.finditer(body):
        if match.start() < position:
            continue
        value = _CONTINUED.match(body, match.end())
        if value is None or (
            len(value.group()) <= MAX_MIME_HEADER and value.group().count(b";") <= 60
        ):
            continue
        kept = b";".join(value.group()[:MAX_MIME_HEADER].split(b";")[:60])
        pieces += [body[position : match.end()], kept.rstrip()]
        position = value.end()
    if not pieces:
        return body
    defects.append("MIME header too long: cut")
    return b"".join([*pieces, body[position:]])


def _limit_parts(body: bytes, content_type: str, defects: list[str]) -> bytes:
    """Cut after a thousand parts, and below sixty levels."""
    if body.count(b"\n--") > MAX_BOUNDARY_LINES:
        body = _cut_parts(body, content_type, defects)
    if body.lower().count(b"boundary") <= MAX_BOUNDARIES:
        return body
    declared = list(_BOUNDARY.finditer(body))
    if len(declared) > MAX_BOUNDARIES:
        defects.append(f"more than {MAX_BOUNDARIES} nested multiparts: the rest is not read")
        cut = declared[MAX_BOUNDARIES].start()
        body = body[:cut] + _BOUNDARY.sub(rb"unread=\1", body[cut:])
    return body


def _cut_parts(body: bytes, content_type: str, defects: list[str]) -> bytes:
    known = {match.group(1) for match in _BOUNDARY.finditer(body[: 4 * 1024 * 1024])}
    known.update(
        match.group(1) for match in _BOUNDARY.finditer(content_type.encode("utf-8", "replace"))
    )
    count = 0
    for match in _DELIMITER.finditer(body):
        name = match.group(1).rstrip()
        if name in known or name.removesuffix(b"--") in known:
            count += 1
            if count > MAX_BOUNDARY_LINES:
                defects.append(f"more than {MAX_BOUNDARY_LINES} parts: the rest is not read")
                return body[: match.start()]
    return body

"""The content of an opaque S/MIME signature: a mail wrapped in CMS. Nothing is verified here."""

MAX_DEPTH = 12
_SIGNED = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"  # OID signedData
_DATA = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"  # OID data
_OCTETS, _OCTETS_IN_PIECES = 0x04, 0x24


def find_signed_content(blob: bytes) -> bytes | None:
    """Return the MIME entity inside a CMS SignedData, or None where there is none to be found.

    Both definite and indefinite lengths are read, as mail programs write either.
    Source: RFC 5652 sections 4 and 5, X.690 section 8.
    """
    if _SIGNED not in blob[:60]:
        return None
    at = blob.find(_DATA)
    if at < 0:
        return None
    position = at + len(_DATA)
    header = _read_header(blob, position)
    if header is None or blob[position] != 0xA0:
        return None
    pieces = _octets(blob, header[0], 0)
    return b"".join(pieces) or None


def _read_header(blob: bytes, position: int) -> tuple[int, int | None] | None:
    """Return where the value at `position` begins, and its length (None: indefinite)."""
    if position + 2 > len(blob):
        return None
    first = blob[position + 1]
    start = position + 2
    if first == 0x80:
        return start, None
    if first < 0x80:
        return start, first
    count = first & 0x7F
    if count > 4 or start + count > len(blob):
        return None
    return start + count, int.from_bytes(blob[start : start + count], "big")


def _octets(blob: bytes, position: int, depth: int) -> list[bytes]:
    header = _read_header(blob, position)
    if header is None or depth > MAX_DEPTH:
        return []
    start, length = header
    if blob[position] == _OCTETS:
        return [] if length is None else [blob[start : start + length]]
    if blob[position] != _OCTETS_IN_PIECES:
        return []
    pieces: list[bytes] = []
    end = len(blob) if length is None else min(len(blob), start + length)
    while start < end and blob[start] in (_OCTETS, _OCTETS_IN_PIECES):
        inner = _read_header(blob, start)
        if inner is None or inner[1] is None:
            break
        pieces += _octets(blob, start, depth + 1)
        start = inner[0] + inner[1]
    return pieces

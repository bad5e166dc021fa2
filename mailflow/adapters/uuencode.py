"""Files that stand uuencoded within a text, as old Outlook and Lotus Notes send them."""

import binascii
import re

from mailflow.adapters.headers import decode_raw

MAX_FILES = 50

_BEGIN = re.compile(rb"(?m)^begin [0-7]{3,4} ([^\r\n]{1,200})\r?\n")


def take_uuencoded(content: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return `content` without its uuencoded files, and the files with their names.

    One that is broken or has no end stays in the text. At most 50 are taken.
    """
    files: list[tuple[str, bytes]] = []
    match = _BEGIN.search(content)
    while match is not None and len(files) < MAX_FILES:
        end = content.find(b"\nend", match.end() - 1)
        if end < 0:
            break
        try:
            data = b"".join(map(binascii.a2b_uu, content[match.end() : end].splitlines()))
        except binascii.Error:
            break
        files.append((decode_raw(match.group(1)), data))
        content = content[: match.start()] + content[end + 4 :].lstrip(b"\r\n")
        match = _BEGIN.search(content)
    return content, files

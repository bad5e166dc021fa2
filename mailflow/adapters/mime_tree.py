"""The tree of parts of a mail, just as the standard library builds it, but in half the time.

The library's parser looks at each line by itself and compiles a pattern for each boundary. Here a
multipart is cut at its delimiter lines; a mail that is not well formed is left to the library.
"""

import re
from email import message_from_bytes
from email.message import Message

_HEADER = re.compile(r"[!-9;-~]+:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n")
_LINE_END = re.compile(r"\r?\n")
_END = re.compile(r"--(?:\r?\n(.*))?", re.DOTALL)  # behind the boundary of the last delimiter


class _UnusualError(Exception):
    """Not well formed, or of a kind that is rare."""


def read_tree(raw: bytes) -> Message:
    """Return what `email.message_from_bytes` would. `raw` holds no CR without its LF."""
    try:
        root = _read_part(raw.decode("ascii", "surrogateescape"))
    except _UnusualError:
        return message_from_bytes(raw)
    if root.is_multipart() and root.epilogue is None:
        root.epilogue = ""  # as the library has it; within a multipart it is None
    return root


def _read_part(text: str) -> Message:
    part: Message = Message()
    position = 0
    while header := _HEADER.match(text, position):
        part.set_raw(*part.policy.header_source_parse([header.group()]))
        position = header.end()
    blank = _LINE_END.match(text, position)
    if blank is None or part.get_content_maintype() == "message":
        raise _UnusualError
    body = text[blank.end() :]
    if part.get_content_maintype() == "multipart":
        _read_children(part, body)
    else:
        part.set_payload(body)
    return part


def _read_children(part: Message, body: str) -> None:
    """Cut a multipart at its delimiter lines. Source: RFC 2046 section 5.1.1."""
    encoding = str(part.get("content-transfer-encoding", "8bit")).lower()
    boundary = part.get_boundary()
    if (
        not boundary
        or not boundary.isprintable()
        or encoding not in ("7bit", "8bit", "binary")
        or part.get_content_subtype() == "digest"
    ):
        raise _UnusualError
    preamble, *pieces = f"\n{body}".split(f"\n--{boundary}")
    end = _END.fullmatch(pieces.pop()) if len(pieces) > 1 else None
    if end is None:
        raise _UnusualError
    for piece in pieces:
        line_end = _LINE_END.match(piece)
        if line_end is None:
            raise _UnusualError
        # The line end before a delimiter belongs to it; split() took the LF off.
        part.attach(_read_part(piece[line_end.end() :].removesuffix("\r")))
    part.preamble = preamble[1:].removesuffix("\r") if preamble else None
    part.epilogue = end.group(1)

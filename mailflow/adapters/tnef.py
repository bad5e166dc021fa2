"""winmail.dat: the attachments and the text that Outlook wraps in a TNEF part."""

import logging

from mailflow.adapters.mime import Body, Content

_TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_MAGIC = b"\x78\x9f\x3e\x22"
MAX_TNEF = 24 * 1024 * 1024

logging.getLogger("tnefparse").setLevel(logging.CRITICAL)


def unpack_tnef(content: Content) -> None:
    """Replace each winmail.dat in `content` by what is in it; one that is broken stays.

    Source: [MS-OXTNEF].
    """
    for attachment in [a for a in content.attachments if _is_tnef(a.content_type, a.content)]:
        if len(attachment.content) > MAX_TNEF:
            content.defects.append("winmail.dat too large: left as it is")
            continue
        try:
            found = _read(attachment.content)
        except Exception as error:
            # tnefparse indexes and unpacks without checks: anything may come out of it
            content.defects.append(f"winmail.dat unreadable: {type(error).__name__}")
            continue
        content.attachments.remove(attachment)
        _add(content, *found)


def _is_tnef(kind: str, data: bytes) -> bool:
    return kind in _TYPES or data.startswith(_MAGIC)


def _read(data: bytes) -> tuple[list[tuple[str, bytes]], str, str]:
    from tnefparse import TNEF

    parsed = TNEF(data, do_checksum=False)
    files = [
        (str(a.long_filename() or a.name or ""), bytes(a.data or b"")) for a in parsed.attachments
    ]
    return files, _text(parsed.body), _text(parsed.htmlbody)


def _text(value: object) -> str:
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value.replace("\0", "") if isinstance(value, str) else ""


def _add(content: Content, files: list[tuple[str, bytes]], plain: str, html: str) -> None:
    from mailflow.adapters.mime import keep_file

    for name, data in files:
        keep_file(content, name, data)
    readable = any((b.plain or "").strip() or (b.html or "").strip() for b in content.bodies)
    if not readable and (plain.strip() or html.strip()):
        content.bodies.append(Body(plain=plain or None, html=html or None))

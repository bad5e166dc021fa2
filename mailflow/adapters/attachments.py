"""File names of attachments, made safe to show and to store."""

import re
import unicodedata

MAX_NAME = 120
_PATH = re.compile(r"[\\/]+")
_DRIVE = re.compile(r"^[A-Za-z]:(?=[^\s])")
_SPACE = re.compile(r"\s+")
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_EXTENSIONS = {
    "text/plain": ".txt", "text/html": ".html", "text/csv": ".csv", "text/calendar": ".ics",
    "image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/bmp": ".bmp",
    "image/svg+xml": ".svg", "image/webp": ".webp", "image/heic": ".heic",
    "application/pdf": ".pdf", "application/zip": ".zip", "application/json": ".json",
    "application/xml": ".xml", "text/xml": ".xml", "message/rfc822": ".eml",
    "application/pgp-signature": ".asc", "application/pkcs7-signature": ".p7s",
    "application/x-pkcs7-signature": ".p7s", "application/pkcs7-mime": ".p7m",
    "application/rtf": ".rtf", "text/rtf": ".rtf", "text/vcard": ".vcf",
    "application/ms-tnef": ".dat",
}  # fmt: skip


def clean_filename(name: str, content_type: str, number: int) -> str:
    """Return a name with no path, control, zero-width or bidirectional characters.

    At most 120 characters, the extension kept. A name of which nothing is left becomes
    'attachment-N' with the extension of its type.
    """
    text = unicodedata.normalize("NFC", name)
    text = "".join(
        " " if character in "\t\r\n" else character
        for character in text
        if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")
        or character in "\t\r\n"
    )
    text = _PATH.split(text)[-1] if _PATH.split(text)[-1].strip() else text
    text = _DRIVE.sub("", _PATH.sub("_", text))
    text = _SPACE.sub(" ", _FORBIDDEN.sub("_", text)).strip(" .") if text else ""
    if not text or not any(character.isalnum() for character in text):
        return f"attachment-{number}{_EXTENSIONS.get(content_type, '')}"
    return _shorten(text)


def _shorten(name: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 16:
        return name[:MAX_NAME]
    return stem[: MAX_NAME - len(extension) - 1].rstrip(" .") + dot + extension

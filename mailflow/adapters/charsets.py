"""Bytes of unknown or wrongly named charset → text, as a mail reader shows them."""

import codecs
import re

_ALIASES = {
    "": "utf-8",
    "unknown-8bit": "utf-8",
    "x-unknown": "utf-8",
    "default": "utf-8",
    "default_charset": "utf-8",
    "ansi_x3.110-1983": "iso-8859-1",
    "8bit": "utf-8",
    "utf8mb4": "utf-8",
    "cp-850": "cp850",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "x-sjis": "cp932",
    "ks_c_5601-1987": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "unicode-1-1-utf-7": "utf-7",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "windows-874": "cp874",
    "x-windows-949": "cp949",
}
_LATIN = frozenset({"iso8859-1", "latin-1", "ascii", "iso8859-15", "cp1252"})
_UNSAFE = frozenset(
    {"undefined", "idna", "punycode", "raw-unicode-escape", "unicode-escape", "mbcs", "oem"}
)
# What UTF-8 looks like when read as latin-1: a lead byte, then continuation bytes.
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_UTF8_CHARACTER = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe2-\xef][\x80-\xbf]{2}")
_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_TEXT = {0: None}


def find_codec(name: str | None) -> str | None:
    """Return Python's name for the charset `name`, or None if it has none that decodes text."""
    cleaned = re.sub(r"[^a-z0-9_.:-]", "", (name or "").lower())[:60]
    cleaned = _ALIASES.get(cleaned, cleaned)
    try:
        info = codecs.lookup(cleaned)
    except (LookupError, ValueError):
        return None
    if info.name in _UNSAFE or not info._is_text_encoding:
        return None
    return info.name


def clean_text(text: str) -> str:
    """Drop NUL, turn lone surrogates into U+FFFD, and make every line end a plain LF."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        text = text.translate(_NOT_TEXT)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = _SURROGATES.sub("\ufffd", text)
    return text


def decode_text(content: bytes, charset: str | None) -> tuple[str, str | None]:
    """Decode `content`, mending a wrong or unknown `charset`.

    Returns the text and, where the label was not simply right, what was done. UTF-8 labelled
    as a Latin charset is read as UTF-8; bytes 0x80 to 0x9F of 'iso-8859-1' are windows-1252, as
    every browser does (WHATWG Encoding, section 4.2). Never raises.
    """
    if content.isascii() and b"\x1b" not in content and b"\0" not in content:
        codec = find_codec(charset)
        if codec is None:
            return clean_text(content.decode("ascii")), f"unknown charset {charset!r}"
        if not codec.startswith(("utf-16", "utf-32", "utf-7", "cp037", "cp500")):
            return clean_text(content.decode("ascii")), None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return clean_text(content.decode("utf-16", "replace")), None
    codec = find_codec(charset)
    if codec in _LATIN or codec is None:
        return _decode_latin(content, charset, codec)
    try:
        return clean_text(_strict(content, codec).removeprefix("\ufeff")), None
    except (UnicodeError, ValueError, OverflowError):
        pass
    text, _ = _guess(content)
    return clean_text(text), f"wrong charset {charset!r}: read by its content"


def _strict(content: bytes, codec: str) -> str:
    text = content.decode(codec)
    if codec.startswith("utf-7"):
        text.encode("utf-8")
    return text


def _decode_latin(content: bytes, charset: str | None, codec: str | None) -> tuple[str, str | None]:
    if _UTF8_SEQUENCE.search(content):
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
        else:
            if codec == "ascii" or charset is None:
                return clean_text(text), None
            remark = "unknown charset" if codec is None else "wrong charset"
            return clean_text(text), f"{remark} {charset!r}: read as UTF-8"
    if codec == "iso8859-15":
        return clean_text(content.decode(codec)), None
    if codec is None or codec == "ascii":
        text, name = _guess(content)
        return clean_text(text), f"unknown charset {charset!r}: read as {name}"
    return clean_text(_windows_1252(content)), None


def _windows_1252(content: bytes) -> str:
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:  # five bytes have no character there
        return content.decode("latin-1")


def _guess(content: bytes) -> tuple[str, str]:
    try:
        return content.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        pass
    damaged = content.decode("utf-8", "replace")
    # Latin text hardly ever holds a sequence that is valid in UTF-8.
    if damaged.count("\ufffd") <= 3 * len(_UTF8_CHARACTER.findall(content)):
        return damaged, "utf-8"
    if 64 <= len(content) <= 50_000:
        from charset_normalizer import from_bytes

        best = from_bytes(content[:8000], steps=3, chunk_size=256).best()
        if best is not None and best.encoding in _GUESSABLE:
            return content.decode(best.encoding, "replace"), best.encoding
    return _windows_1252(content), "windows-1252"


_GUESSABLE = frozenset(
    {"cp1251", "koi8_r", "gb18030", "big5", "cp932", "shift_jis", "euc_jp", "euc_kr", "cp949"}
)

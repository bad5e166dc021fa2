"""Each awkward mail in tests/data/mails beside what a careful person reads in it.

The JSON file of a mail holds `why` (what is odd) and the keys that matter. Texts are compared with
white space joined. `accept` lists texts that are each right, `contains` and `absent` pieces of the
new text, `defect` a piece of one of the defects.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from mailflow.adapters.parse import parse_message
from mailflow.core.message_record import as_record

MAILS = sorted((Path(__file__).parent.parent / "data" / "mails").glob("*.eml"))
OWN = frozenset({"support@desk.example"})


def _joined(text: str) -> str:
    return " ".join(text.split())


def _check(key: str, wanted: Any, record: dict[str, Any]) -> None:
    new_text = record["new_text"]
    if key in ("new_text", "text", "signature", "quoted"):
        assert _joined(record[key]) == _joined(wanted)
    elif key == "accept":
        assert _joined(new_text) in [_joined(text) for text in wanted]
    elif key == "contains":
        assert [piece for piece in wanted if piece not in new_text] == []
    elif key == "absent":
        assert [piece for piece in wanted if piece in new_text] == []
    elif key == "defect":
        assert any(wanted in defect for defect in record["defects"]), record["defects"]
    else:
        assert record[key] == wanted


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_mail_is_read_as_a_person_would(path: Path) -> None:
    message = parse_message(path.read_bytes(), OWN)
    record = as_record(path.name, message) | {"encrypted": message.encrypted}
    for key, wanted in json.loads(path.with_suffix(".json").read_text()).items():
        if key != "why":
            _check(key, wanted, record)


def test_the_corpus_is_large_and_every_mail_says_why() -> None:
    assert len(MAILS) >= 150
    for path in MAILS:
        assert json.loads(path.with_suffix(".json").read_text())["why"], path.name


def test_persons_are_never_taken_for_machines() -> None:
    """Every mail without an expected class was written by a person."""
    mistaken = []
    for path in MAILS:
        expected = json.loads(path.with_suffix(".json").read_text())
        message = parse_message(path.read_bytes(), OWN)
        if expected.get("class", "person") == "person" and message.message_class != "person":
            mistaken.append((path.name, message.class_reason))
    assert mistaken == []

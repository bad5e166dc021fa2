"""Triage in a child: the same answers, and a child that dies or hangs ends nothing else."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailflow.adapters import triage_process
from mailflow.adapters.triage_process import TriageDiedError, TriageProcess
from mailflow.adapters.triager import Triager
from mailflow.core.messages import Attachment
from mailflow.core.triage import Triage
from mailflow.errors import ConfigError, MailflowError
from tests.factories import make_message

TEXTS = (
    "Since 8:20 nobody in the company gets in; the sign-in page stays white.",
    "The logo on the report is a little blurred.",
)


def told(triages: list[Triage]) -> list[tuple[object, ...]]:
    """What was decided; confidences differ in the ninth digit with the size of a batch."""
    return [(each.outcome, each.kind.value, each.priority.value) for each in triages]


@pytest.fixture(scope="module")
def apart() -> Iterator[TriageProcess]:
    process = TriageProcess(None, None)
    process.start()
    yield process
    process.close()


def test_the_answers_are_those_of_the_triager_itself(apart: TriageProcess) -> None:
    messages = [make_message(text) for text in TEXTS]
    assert told(apart.triage_many(messages)) == told(Triager.load().triage_many(messages))
    assert told([apart.triage(messages[1])]) == told(apart.triage_many(messages))[1:]


def test_files_are_read_as_far_as_triage_reads_them(apart: TriageProcess) -> None:
    files = (
        Attachment("app.log", "text/plain", 30, "", b"ERROR 500: cannot save invoice"),
        Attachment("screen.png", "image/png", 90_000, "", b"x" * 90_000),
    )
    message = replace(make_message(TEXTS[1]), attachments=files)
    alone = Triager.load().triage(message)
    assert apart.triage(message).fields == alone.fields
    assert told([apart.triage(message)]) == told([alone])


def test_what_is_handed_over_later_does_not_lose_what_came_before(apart: TriageProcess) -> None:
    first = apart.hand_over([make_message(TEXTS[0])])
    second = apart.hand_over([make_message(TEXTS[1])])
    assert second.get()[0].priority != first.get()[0].priority
    assert first.get() is first.get()
    assert apart.hand_over([]).get() == []


def test_a_child_that_dies_over_mails_is_replaced(apart: TriageProcess) -> None:
    apart.wait_until_ready()
    before = apart.pid
    os.kill(before, signal.SIGSTOP)  # so that it cannot be quicker than we are
    handed = apart.hand_over([make_message(TEXTS[0])])
    os.kill(before, signal.SIGKILL)
    with pytest.raises(TriageDiedError, match="ended over these mails"):
        handed.get()
    assert len(apart.triage_many([make_message(TEXTS[0])])) == 1
    assert apart.pid not in (0, before)


def test_a_child_that_hangs_is_replaced(
    apart: TriageProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart.wait_until_ready()
    os.kill(apart.pid, signal.SIGSTOP)
    monkeypatch.setattr(triage_process, "ANSWER_SECONDS", 0.01)
    with pytest.raises(TriageDiedError, match="no answer"):
        apart.triage(make_message(TEXTS[0]))
    assert apart.pid == 0


def test_an_error_over_there_is_told_and_the_child_goes_on(apart: TriageProcess) -> None:
    broken = replace(make_message(TEXTS[0]), subject=None)  # type: ignore[arg-type]
    with pytest.raises(MailflowError, match="TypeError"):
        apart.triage_many([broken])
    before = apart.pid
    assert apart.triage(make_message(TEXTS[1])).language == "en"
    assert apart.pid == before


def test_broken_rules_are_told_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "triage").mkdir()
    (tmp_path / "triage" / "en.toml").write_text("[[rule]]\nid = ", "utf-8")
    process = TriageProcess(tmp_path, None)
    with pytest.raises(ConfigError, match=r"en\.toml: not valid TOML"):
        process.wait_until_ready()
    process.close()


def test_what_was_under_way_when_it_was_closed_is_told(apart: TriageProcess) -> None:
    handed = apart.hand_over([make_message(TEXTS[0])])
    apart.close()
    with pytest.raises(TriageDiedError, match="closed"):
        handed.get()

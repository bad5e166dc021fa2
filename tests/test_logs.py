import json
import logging

import pytest
import structlog

from mailflow.logs import log, set_up_logs
from mailflow.settings import Logging


@pytest.fixture(autouse=True)
def _as_before():
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def written(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""  # standard output is for results
    return captured.err


def test_json_lines(capsys):
    set_up_logs(Logging(format="json"))
    structlog.contextvars.bind_contextvars(mail="in-7")
    log.info("ticket opened", reference="MF-2026-000001", subject="é\n")
    (line,) = written(capsys).splitlines()
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "ticket opened",
        "level": "info",
        "mail": "in-7",
        "reference": "MF-2026-000001",
        "subject": "é\n",
    }


def test_text_for_a_person(capsys):
    set_up_logs(Logging())
    log.warning("mail held", reason="two\nsenders")
    text = written(capsys)
    assert "mail held" in text
    assert text.count("\n") == 1  # nobody can write lines of their own into the log
    assert "\x1b" not in text  # no colours outside a terminal


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "key", ["password", "imap_Password", "oauth2_token", "client_secret", "Authorization"]
)
def test_secrets_are_hidden(capsys, form, key):
    set_up_logs(Logging(format=form))
    log.info("login", **{key: "hunter2", "user": "support"})
    text = written(capsys)
    assert "hunter2" not in text
    assert "support" in text


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_levels(capsys, level, shown):
    set_up_logs(Logging(format="json", level=level))
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)(name)
    assert [json.loads(line)["event"] for line in written(capsys).splitlines()] == shown


def test_an_exception_is_one_json_line(capsys):
    set_up_logs(Logging(format="json"))
    try:
        raise ValueError("odd")
    except ValueError:
        log.exception("job failed")
    (line,) = written(capsys).splitlines()
    assert "ValueError: odd" in json.loads(line)["exception"]


def test_the_standard_library_is_left_alone():
    before = logging.getLogger().level
    set_up_logs(Logging(level="debug"))
    assert logging.getLogger().level == before

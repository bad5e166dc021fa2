"""`mailflow backup` and `mailflow restore`, as an operator types them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mailflow.cli import app
from mailflow.errors import MailflowError
from tests.factories_desk import DeskFactory


def run(*words: object, config: Path) -> Result:
    return CliRunner().invoke(app, [str(each) for each in words] + ["-c", str(config)])


def test_there_and_back(desk_factory: DeskFactory, tmp_path: Path) -> None:
    config = desk_factory.config()
    copy = tmp_path / "copy.db"
    made = run("backup", copy, config=config)
    assert made.exit_code == 0
    assert f"{copy.stat().st_size:,} bytes, verified" in made.output
    refused = run("restore", copy, config=config)
    assert isinstance(refused.exception, MailflowError)
    assert "--force" in str(refused.exception)
    done = run("restore", copy, "--force", config=config)
    assert done.exit_code == 0
    assert "mailflow reconcile --repair" in done.output
    assert "mailflow.db.before" in done.output


@pytest.mark.parametrize(
    ("content", "words"), [(None, "there is no such backup"), (b"not whole", "no whole mailflow")]
)
def test_what_is_no_backup_is_refused_in_words(
    desk_factory: DeskFactory, tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "copy.db"
    if content is not None:
        file.write_bytes(content)
    refused = run("restore", file, "--force", config=desk_factory.config())
    assert isinstance(refused.exception, MailflowError)
    assert words in str(refused.exception)

"""Rules and templates: the operator's file wins, the shipped one stands in."""

from pathlib import Path

from mailflow.data import find_data_file, shipped_folder


def test_the_shipped_folders_are_there() -> None:
    assert (shipped_folder("rules") / "sla.toml").is_file()
    assert (shipped_folder("templates") / "layout.html").is_file()


def test_an_operator_overrides_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "sla.toml").write_text("mine")
    assert find_data_file("rules", "sla.toml", tmp_path) == tmp_path / "sla.toml"
    other = find_data_file("rules", "triage/fr.toml", tmp_path)
    assert other == shipped_folder("rules") / "triage" / "fr.toml"


def test_what_nobody_has_is_none(tmp_path: Path) -> None:
    assert find_data_file("rules", "nothing.toml", tmp_path) is None
    assert find_data_file("rules", "nothing.toml") is None

"""`mailflow organisations`: list, and import from CSV with a report for each line."""

import json
import tomllib

import pytest
from typer.testing import CliRunner

from mailflow.adapters.directory import load_organisations
from mailflow.cli import app

runner = CliRunner()


@pytest.fixture
def config(desk_factory):
    return desk_factory.config()


@pytest.fixture
def run(config, tmp_path):
    def call(*words, csv=None, code=0):
        if csv is not None:
            file = tmp_path / "clients.csv"
            file.write_bytes(csv if isinstance(csv, bytes) else csv.encode())
            words = (*words, str(file))
        result = runner.invoke(app, ["organisations", *words, "-c", str(config)])
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def file(config):
    return config.parent / "organisations.toml"


HEAD = "name,domains,addresses,language,contract_start,contract_end,calendar,target_1\n"


def test_new_organisations_are_added_below_what_stands_comments_kept(run, file):
    file.write_text("# ours\n" + file.read_text())
    before = file.read_text()
    csv = (
        HEAD
        + 'Nord SA,nord.example nord.fr,,fr,2026-01-01,2027-12-31,,2h\n"A ""b"" \\ é",,x@y.example,,,,,\n'
    )
    result = run("import", csv=csv)
    assert "new        Nord SA" in result.stdout
    assert file.read_text().startswith(before)
    assert (file.parent / "organisations.toml.bak1").read_text() == before
    client, nord, odd = load_organisations(file)
    assert client.name == "Client SA"
    assert nord.domains == ("nord.example", "nord.fr")
    assert str(nord.contract_end) == "2027-12-31"
    assert nord.targets == {"1": "2h"}
    assert (odd.name, odd.addresses) == ('A "b" \\ é', ("x@y.example",))


def test_a_column_that_is_not_there_leaves_what_stands_an_empty_cell_empties(run, file):
    run("import", csv="name;language;target_2\nClient SA;en;8h\n")
    (client,) = load_organisations(file)
    assert (client.language, client.targets) == ("en", {"2": "8h"})
    assert client.domains == ("client.example",)
    result = run("import", csv="\ufeffname\tlanguage\nClient SA\t\n")
    assert "changed    Client SA: language" in result.stdout
    (client,) = load_organisations(file)
    assert (client.language, client.targets) == (None, {"2": "8h"})
    assert {each.name for each in file.parent.glob("*.bak*")} == {
        "organisations.toml.bak1",
        "organisations.toml.bak2",
    }


@pytest.mark.parametrize("words, csv", [
    (["import"], "name,domains\nClient SA,client.example\n"),
    (["import", "--dry-run"], "name,domains\nNord,nord.example\n"),
])  # fmt: skip
def test_nothing_new_or_a_dry_run_writes_nothing(run, file, words, csv):
    before = file.read_bytes()
    assert "nothing was written" in run(*words, csv=csv).stdout
    assert file.read_bytes() == before
    assert not list(file.parent.glob("*.bak*"))


@pytest.mark.parametrize(
    "csv, told",
    [
        ("", "line 1: there is no column 'name'"),
        ("name,domain\nA,a.example\n", "line 1: unknown column 'domain'"),
        ("name,name\nA,a\n", "line 1: column 'name' stands there twice"),
        ("name,domains\n", "has no line below"),
        ("name,domains\n,a.example\n", "line 2, column name"),
        ("name,domains\nA,a.example\nB,b\n", "line 3, column domains: expected a domain"),
        ("name,addresses\nA,a.example\n", "line 2, column addresses: expected an address"),
        ("name,domains\nA,a.example,fr\n", "line 2: 3 cells, expected 2"),
        ("name,domains,language\nA,a.example,french\n", "line 2, column language"),
        ("name,domains,contract_end\nA,a.example,31/12/2026\n", "line 2, column contract_end"),
        (
            "name,domains,contract_start,contract_end\nA,a.example,2026-02-01,2026-01-01\n",
            "line 2, column contract_end",
        ),
        ("name,contract_end\nClient SA,2019-12-31\n", "line 2, column contract_end"),
        ("name,domains,calendar\nA,a.example,mars\n", "line 2, column calendar"),
        ("name,domains,target_1\nA,a.example,soon\n", "line 2, column target_1"),
        ("name,language\nA,fr\n", "line 2, column domains: neither a domain nor an address"),
        ("name,domains\nA,a.example\nA,b.example\n", "line 3, column name: 'A' is in line 2"),
        ("name,domains\nA,client.example\n", "line 2, column domains: client.example"),
        ('name,domains\n"A\nB",a.example\nC,c\n', "line 4, column domains"),  # a cell of two lines
        ('name,domains\n"A,a.example\n', "line 2: unexpected end of data"),
        (b"name,domains\n\xe9,a.example\n", "is not UTF-8"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(run, file, csv, told):
    before = file.read_bytes()
    result = run("import", csv=csv, code=1)
    assert told in result.stderr
    assert "nothing was written" in result.stderr
    assert file.read_bytes() == before


def test_all_mistakes_are_told_at_once(run):
    result = run("import", csv="name,domains\nA,a\nB,b.example\nC,c\n", code=1)
    assert "line 2" in result.stderr and "line 4" in result.stderr


def test_without_a_file_that_stands_there_one_is_made(run, file):
    file.unlink()
    run("import", csv="name,domains\nNord,NORD.example\n")
    assert tomllib.loads(file.read_text()) == {
        "organisation": [{"name": "Nord", "domains": ["nord.example"]}]
    }


def test_list(run):
    run("import", csv="name,domains,contract_end,target_1\n[b]Old[/b],old.example,2019-01-01,2h\n")
    shown = run("list").stdout
    assert "Client SA" in shown and "[b]Old[/b]" in shown and "ended" in shown
    old = json.loads(run("list", "--json").stdout.splitlines()[1])
    assert (old["contract"], old["targets"]) == ("ended", {"1": "2h"})


def test_the_file_must_be_there(run):
    assert "cannot be read" in run("import", "no-such.csv", code=1).stderr

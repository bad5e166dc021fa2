"""`mailflow init`: asked and scripted, on real servers, with names that need escaping."""

import tomllib
from pathlib import Path

import pytest
from click.testing import Result

from mailflow.adapters.directory import load_agents, load_organisations
from mailflow.config import load_config
from mailflow.core.agents import Role
from mailflow.demo.servers import PASSWORD, USER, EmbeddedImap, EmbeddedSmtp
from mailflow.presets import PRESETS
from mailflow.services import check_files
from mailflow.services.set_up import toml_text
from tests.cli.check_setup import run

FILES = ("config.toml", "organisations.toml", "agents.toml")


@pytest.fixture(autouse=True)
def quick_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules' examples and the model take seconds, and are tested with `mailflow check`."""
    monkeypatch.setattr(check_files, "check_triage", lambda config: ())
    monkeypatch.setattr(check_files, "check_model", lambda config: ())


def init(folder: Path, *options: str, input: str | None = None, **variables: str) -> Result:
    """Run `mailflow init` in `folder` without touching real mail servers."""
    config = str(folder / "config.toml")
    return run("init", "-c", config, "--offline", *options, input=input, **variables)


def test_a_newcomer_answers_a_few_questions(tmp_path: Path) -> None:
    answers = [
        "infomaniak",
        "Support@Client.example",
        "",  # name: Support
        "fr",
        "",  # user name: the address
        "",  # env
        "",  # MAILFLOW_PASSWORD
        "",  # Authentication-Results: unknown
        "Anne Leroy",
        "anne@support.example",
        "Client SA",
        "client.example",
    ]
    done = init(tmp_path, input="\n".join(answers) + "\n", MAILFLOW_PASSWORD="s3cret")
    assert done.exit_code == 0, done.output
    config = load_config(tmp_path / "config.toml")
    imap = config.require_imap()
    assert (imap.host, imap.port, imap.tls) == ("mail.infomaniak.com", 993, "tls")
    assert (config.smtp.host, config.smtp.port) == ("mail.infomaniak.com", 465)
    assert config.support.address == imap.username == config.smtp.username
    assert config.support.address == "support@client.example"
    assert imap.password_env == config.smtp.password_env == "MAILFLOW_PASSWORD"
    assert (config.trust.agent_proof, config.trust.authserv_id) == ("dkim", None)
    (agent,) = load_agents(config.files.agents)
    assert (agent.name, agent.address, agent.role) == (
        "Anne Leroy",
        "anne@support.example",
        Role.SUPERVISOR,
    )
    (client,) = load_organisations(config.files.organisations)
    assert (client.name, client.domains, client.language) == (
        "Client SA",
        ("client.example",),
        "fr",
    )
    for preset in PRESETS:
        assert preset.title in done.output, "all providers are offered"
    assert "The password is that of a device" in done.output
    assert "Nothing to mend" in done.output
    assert f"mailflow run -c {tmp_path / 'config.toml'}" in done.output
    assert "s3cret" not in done.output
    assert all("s3cret" not in (tmp_path / name).read_text("utf-8") for name in FILES)


def test_a_wrong_answer_is_asked_again(tmp_path: Path) -> None:
    answers = [
        "hotmail",  # no such provider
        "ovh",
        "Support <support@x.example>",
        "support@x.example",
        "Support",
        "de",  # no templates
        "en",
        "",
        "env",
        "my password!",
        "MAILFLOW_PASSWORD",
        "mx.x.example",
        "Tom",
        "tom",
        "tom@x.example",
        "Client",
        "a@client.example",
        "client.example",
    ]
    done = init(tmp_path, input="\n".join(answers) + "\n")
    assert done.exit_code == 0, done.output
    for complaint in (
        "expected one of microsoft365, gmail, ovh, infomaniak, imap",
        "expected a bare mail address",
        "expected one of en, fr",
        "not the password",
        "expected a mail address",
        "expected a domain such as client.example",
    ):
        assert complaint in done.output, complaint
    config = load_config(tmp_path / "config.toml")
    assert (config.trust.agent_proof, config.trust.authserv_id) == ("dmarc", "mx.x.example")


def test_scripted_with_hardly_any_option(tmp_path: Path) -> None:
    done = init(tmp_path, "--preset", "ovh", "--address", "support@x.example", "--yes")
    assert done.exit_code == 0, done.output
    config = load_config(tmp_path / "config.toml")
    assert config.require_imap().host == config.smtp.host == "ssl0.ovh.net"
    assert load_agents(config.files.agents) == ()
    assert load_organisations(config.files.organisations) == ()
    for name, key in (("agents.toml", "agent"), ("organisations.toml", "organisation")):
        text = (tmp_path / name).read_text("utf-8")
        assert f"# [[{key}]]" in text, "an example to uncomment"
    steps = done.output[done.output.index("What next") :]
    assert "1. give the password to mailflow: export MAILFLOW_PASSWORD='…'" in steps
    files = f"{tmp_path / 'agents.toml'} and {tmp_path / 'organisations.toml'}"
    assert f"2. fill in {files}" in steps
    assert "3. try again until nothing is left to mend" in steps
    assert "4. start it: mailflow run" in steps


def test_the_commented_examples_work_once_uncommented(tmp_path: Path) -> None:
    init(tmp_path, "--preset", "ovh", "--address", "support@x.example", "--yes")
    for name in ("agents.toml", "organisations.toml"):
        path = tmp_path / name
        lines = path.read_text("utf-8").splitlines()
        keys = (
            "# [[",
            "# name",
            "# address =",
            "# languages",
            "# role",
            "# domains",
            "# language ",
        )
        path.write_text(
            "\n".join(line[2:] if line.startswith(keys) else line for line in lines), "utf-8"
        )
    assert len(load_agents(tmp_path / "agents.toml")) == 1
    assert len(load_organisations(tmp_path / "organisations.toml")) == 1


@pytest.mark.parametrize("preset", [each for each in PRESETS if each.imap], ids=lambda p: p.key)
def test_every_preset_makes_a_configuration(tmp_path: Path, preset: object) -> None:
    from mailflow.presets import Preset

    assert isinstance(preset, Preset) and preset.imap and preset.smtp
    done = init(
        tmp_path, "--preset", preset.key, "--address", "s@x.example", "--yes",
        "--secret-value", "MAILFLOW_TOKEN",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    config = load_config(tmp_path / "config.toml")
    imap = config.require_imap()
    assert (imap.host, imap.port, imap.tls) == (
        preset.imap.host,
        preset.imap.port,
        preset.imap.tls,
    )
    assert (config.smtp.host, config.smtp.port, config.smtp.tls) == (
        preset.smtp.host,
        preset.smtp.port,
        preset.smtp.tls,
    )
    assert (imap.oauth2_token_command is not None) == (preset.secret == "oauth2")
    assert preset.advice.split()[0] in done.output


def test_microsoft_365_proves_agents_by_dkim_and_gmail_by_dmarc(tmp_path: Path) -> None:
    for key, proof, server in (("microsoft365", "dkim", None), ("gmail", "dmarc", "mx.google.com")):
        folder = tmp_path / key
        init(folder, "--preset", key, "--address", "s@x.example", "--yes", "--secret-value", "t")
        trust = load_config(folder / "config.toml").trust
        assert (trust.agent_proof, trust.authserv_id) == (proof, server)


def test_tried_on_real_servers(
    tmp_path: Path, imap_server: EmbeddedImap, smtp_server: EmbeddedSmtp
) -> None:
    (tmp_path / "mailflow.secret").write_text(PASSWORD, "utf-8")
    (tmp_path / "mailflow.secret").chmod(0o600)
    done = run(
        *("init", "-c", str(tmp_path / "config.toml"), "--yes", "--preset", "imap"),
        *("--address", "support@support.example", "--user", USER),
        *("--imap-host", "127.0.0.1", "--imap-port", str(imap_server.port), "--imap-tls", "none"),
        *("--smtp-host", "127.0.0.1", "--smtp-port", str(smtp_server.port), "--smtp-tls", "none"),
        *("--no-smtp-login", "--secret", "file", "--authserv-id", "mx.support.example"),
        *("--agent-name", "Anne", "--agent-address", "anne@support.example"),
        *("--organisation-name", "Client SA", "--organisation-domain", "client.example"),
    )
    assert done.exit_code == 0, done.output
    assert "Nothing to mend" in done.output
    assert f"{USER} at 127.0.0.1:{imap_server.port}" in done.output
    assert "1. start it: mailflow run" in done.output, "nothing else is left to do"


def test_names_that_need_escaping(tmp_path: Path) -> None:
    name = 'L’équipe "Support" \\ #1 [prod] {x} = ☎'
    done = init(
        tmp_path,
        *("--preset", "ovh", "--address", "support@x.example", "--yes", "--name", name),
        *("--secret", "command", "--secret-value", """printf '%s' "$(cat '/run/a b')" # {x}"""),
        *("--agent-name", name, "--agent-address", "o'neil@x.example"),
        *("--organisation-name", name, "--organisation-domain", "Client.Example"),
    )
    assert done.exit_code == 0, done.output
    config = load_config(tmp_path / "config.toml")
    assert config.support.name == name
    assert config.smtp.password_command == """printf '%s' "$(cat '/run/a b')" # {x}"""
    assert load_agents(config.files.agents)[0].name == name
    assert load_organisations(config.files.organisations)[0].name == name
    assert load_organisations(config.files.organisations)[0].domains == ("client.example",)


@pytest.mark.parametrize(
    "value", ['"', "\\", "\x7f", "\x00\x1f\x80", "a\nb", "é☎😀", "'''", '"""', "\\u0041", "# x"]
)
def test_toml_text_comes_back_as_it_was(value: str) -> None:
    assert tomllib.loads(f"v = {toml_text(value)}")["v"] == value


@pytest.mark.parametrize("there", FILES)
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("# mine\n", "utf-8")
    done = init(tmp_path, "--preset", "ovh", "--address", "support@x.example", "--yes")
    assert done.exit_code == 2
    assert "there already" in done.output and "--force" in done.output
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text("utf-8") == "# mine\n"


def test_force_keeps_the_old_files(tmp_path: Path) -> None:
    (tmp_path / "agents.toml").write_text("# mine\n", "utf-8")
    done = init(tmp_path, "--preset", "ovh", "--address", "s@x.example", "--yes", "--force")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "agents.toml.old").read_text("utf-8") == "# mine\n"
    assert (tmp_path / "agents.toml").read_text("utf-8") != "# mine\n"


@pytest.mark.parametrize(
    "options, complaint",
    [
        ((), "with --yes, --address has to be given"),
        (("--address", "nobody"), "--address: expected a mail address"),
        (("--address", "s@x.example", "--preset", "x"), "--preset: expected one of"),
        (("--address", "s@x.example", "--secret", "magic"), "--secret: expected one of"),
        (("--address", "s@x.example", "--secret", "oauth2"), "--secret-value has to be given"),
        (("--address", "s@x.example", "--secret-value", "p w"), "not the password"),
        (("--address", "s@x.example", "--imap-tls", "none"), "loopback only"),
        (("--address", "s@x.example", "--agent-name", "A"), "--agent-address has to be given"),
        (("--address", "s@x.example", "--name", "a\nb"), "--name: expected a text of one line"),
    ],
)
def test_wrong_options_are_wrong_use(
    tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    done = init(tmp_path, "--yes", *options)
    assert done.exit_code == 2, done.output
    assert complaint in " ".join(done.output.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_plain_imap_guesses_hosts_and_ports(tmp_path: Path) -> None:
    done = init(tmp_path, "--address", "support@x.example", "--yes", "--smtp-tls", "starttls")
    assert done.exit_code == 0, done.output
    config = load_config(tmp_path / "config.toml")
    assert (config.require_imap().host, config.require_imap().port) == ("imap.x.example", 993)
    assert (config.smtp.host, config.smtp.port) == ("smtp.x.example", 587)


def test_giving_up_half_way_writes_nothing(tmp_path: Path) -> None:
    done = init(tmp_path, input="ovh\nsupport@x.example\n")  # end of input
    assert done.exit_code != 0
    assert list(tmp_path.iterdir()) == []

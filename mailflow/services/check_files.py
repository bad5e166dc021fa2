"""Check what lies on this machine: rules, model, templates, folders, secrets."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url

from mailflow.adapters.models import load_model
from mailflow.adapters.nlp import RuleMatcher, load_rules
from mailflow.adapters.policies import load_policies
from mailflow.adapters.render import Renderer
from mailflow.adapters.sample import sample_context
from mailflow.adapters.triager import MODELS, find_rule_files
from mailflow.core.decisions import NoticeKind
from mailflow.core.rules import MOOD_PREFIX, Mood, Place, Rule
from mailflow.errors import ConfigError
from mailflow.services.check_rows import Row, count, fails, holds, skips, warns
from mailflow.services.context import with_datetimes
from mailflow.settings import SECRET_KEYS, Config, Server

PRIORITIES = (1, 2, 3, 4)


def check_sla(config: Config) -> Iterator[Row]:
    """The SLA policy: targets, calendars, reminders."""
    policies = load_policies(config.files.rules)
    calendars = ", ".join(sorted(policies.calendars))
    yield holds("SLA policy", f"version {policies.base.version}, calendars: {calendars}")


def check_triage(config: Config) -> Iterator[Row]:
    """The triage rules of each language, tried on their own examples."""
    for language, path in find_rule_files(config.files.rules).items():
        try:
            matcher = RuleMatcher(load_rules(path), str(path))
            wrong = list(_wrong_examples(matcher))
        except ConfigError as error:
            yield fails("Triage rules", str(error), "mend the rule that is named")
            continue
        for found in wrong:
            yield fails(
                "Triage rules",
                f"{path}: {found}",
                "mend the pattern, or the example if it is wrong",
            )
        if not wrong:
            rules = count(matcher.rules.rules, "rule")
            yield holds("Triage rules", f"{language}: {rules}, their examples hold")


def check_model(config: Config) -> Iterator[Row]:
    """The triage model: the shipped one, or the operator's own."""
    folder = config.files.model or MODELS
    try:
        model = load_model(folder)
    except (KeyError, TypeError, ValueError) as error:  # made by another version of mailflow
        yield fails(
            "Triage model",
            f"{folder} does not fit this version of mailflow: {type(error).__name__}: {error}",
            "train it anew with `mailflow train`, or take model out of [files]",
        )
        return
    yield holds("Triage model", f"version {model.version}")


def _wrong_examples(matcher: RuleMatcher) -> Iterator[str]:
    for rule in matcher.rules.rules:
        for text in rule.matches:
            if not _finds(matcher, rule, text, only_facts=False):
                yield f"rule {rule.id!r} does not find its example {text!r}"
        for text in rule.misses:
            if _finds(matcher, rule, text, only_facts=not rule.cue.startswith(MOOD_PREFIX)):
                yield f"rule {rule.id!r} finds {text!r}, which it should leave alone"


def _finds(matcher: RuleMatcher, rule: Rule, text: str, *, only_facts: bool) -> bool:
    """A find in a question or a supposition counts as left alone: triage sets it aside."""
    place = Place.ATTACHMENT if rule.part == "attachments" else Place.BODY
    hits = [hit for hit in matcher.find_hits(text, place) if hit.rule == rule.id]
    return any(hit.mood is Mood.ACTUAL or not only_facts for hit in hits)


def check_templates(config: Config) -> Iterator[Row]:
    """Every mail in every language, rendered with sample data for each priority."""
    renderer = Renderer(config.files.templates, config.support.timezone)
    default = config.support.default_language
    if default not in renderer.languages:
        known = ", ".join(sorted(renderer.languages))
        yield fails(
            "Templates",
            f"support.default_language is {default!r}, but there are templates for {known} only",
            f"choose one of {known}, or add templates/{default} with a words.toml",
        )
    for language in sorted(renderer.languages):
        faults = list(dict.fromkeys(_template_faults(renderer, language)))
        for fault in faults:
            yield fails(
                "Templates", fault, "mend the file; docs/templates.md lists what it can use"
            )
        if not faults:
            yield holds(
                "Templates", f"{language}: {len(NoticeKind)} mails rendered with sample data"
            )


def _template_faults(renderer: Renderer, language: str) -> Iterator[str]:
    for kind in NoticeKind:
        for priority in PRIORITIES:
            try:
                context = with_datetimes(sample_context(kind, priority))
                renderer.render(kind, language, context)
            except ConfigError as error:
                yield str(error)
            except Exception as error:  # an operator's template can fail in any way
                yield f"templates/{language}/{kind}.txt: {type(error).__name__}: {error}"


def check_folders(config: Config) -> Iterator[Row]:
    """Folders that the configuration names and that are not there."""
    for name in ("rules", "templates", "model"):
        folder: Path | None = getattr(config.files, name)
        if folder is None:
            continue
        if not folder.is_dir():
            yield warns(
                "Folders",
                f"files.{name}: there is no folder {folder}; what came with mailflow applies",
                f"make the folder, or take {name} out of [files]",
            )
        else:
            yield holds("Folders", f"{name}: {folder}")


def check_secrets(config: Config, *, offline: bool) -> Iterator[Row]:
    """Whether passwords are to be had, and for our eyes only. `offline` runs no command."""
    users: dict[Server, list[str]] = {}
    for name, server in servers(config):
        if server.username is not None:
            source = Server.model_construct(**{key: getattr(server, key) for key in SECRET_KEYS})
            users.setdefault(source, []).append(f"[{name}]")
    for source, names in users.items():
        yield from _check_secret(" and ".join(names), source, offline)
    if "@" in config.database.url and make_url(config.database.url).password:
        yield from _password_in_url(config.path)


def _password_in_url(path: Path) -> Iterator[Row]:
    if path.stat().st_mode & 0o077:
        yield warns(
            "Secrets",
            f"database.url holds a password, and other users of this machine can read {path}",
            f"chmod 600 {path}, or keep the password in ~/.pgpass",
        )


def _check_secret(users: str, server: Server, offline: bool) -> Iterator[Row]:
    if offline and (server.password_command or server.oauth2_token_command):
        yield skips("Secrets", f"{users}: the command was not tried: --offline")
        return
    try:
        secret = server.secret()
    except ConfigError as error:
        found, _, mend = str(error).partition("; ")
        yield fails("Secrets", f"{users} {found}", mend or "see docs/mailboxes.md")
        return
    if secret != secret.strip():
        yield warns(
            "Secrets",
            f"{users}: the secret has spaces around it",
            "take them out: they count as part of the password",
        )
    path = Path(server.password_file) if server.password_file else None
    if path is not None and path.stat().st_mode & 0o077:
        yield warns(
            "Secrets", f"{users}: other users of this machine can read {path}", f"chmod 600 {path}"
        )
    else:
        yield holds("Secrets", f"{users}: {path or 'there'}")


def has_secret(server: Server) -> bool:
    """Whether a login can be tried: none is needed, or its secret is to be had."""
    try:
        return server.username is None or server.secret() is not None
    except ConfigError:
        return False


def servers(config: Config) -> Iterator[tuple[str, Server]]:
    """The mail servers that are configured, by the name of their section."""
    if config.imap is not None:
        yield "imap", config.imap
    yield "smtp", config.smtp
    if config.journal is not None:
        yield "journal", config.journal


def check_trust(config: Config) -> Iterator[Row]:
    """What proves that a command comes from an agent."""
    trust = config.trust
    if trust.agent_proof == "token-only":
        yield warns(
            "Agents' proof",
            'agent_proof = "token-only": whoever gets a mail meant for an agent can command',
            'prefer agent_proof = "dmarc" with authserv_id, or "dkim"; docs/mailboxes.md helps',
        )
    elif trust.agent_proof == "dmarc" and trust.authserv_id is None:
        yield warns(
            "Agents' proof",
            'agent_proof = "dmarc" without authserv_id: no command of an agent will be obeyed',
            "set trust.authserv_id to the first word of Authentication-Results in a mail that you "
            'received, or agent_proof = "dkim"',
        )
    else:
        by = f"DMARC as checked by {trust.authserv_id}"
        yield holds("Agents' proof", by if trust.agent_proof == "dmarc" else "DKIM, checked here")

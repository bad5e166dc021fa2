"""`mailflow triage`, `train` and `evaluate`: judge mails, and make and measure what judges."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailflow.errors import MailflowError

if TYPE_CHECKING:
    from mailflow.core.messages import InboundMessage
    from mailflow.core.triage import Triage

_Rules = Annotated[
    Path | None, typer.Option("--rules", help="A folder whose triage/*.toml replace the shipped.")
]
_Model = Annotated[
    Path | None, typer.Option("--model", help="A model folder, as `mailflow train` writes it.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command("triage")(triage)
    app.command("train")(train)
    app.command("evaluate")(evaluate)


def triage(
    files: Annotated[list[Path], typer.Argument(help="Mails, as .eml files.", metavar="FILE…")],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line and file, flushed at once.")
    ] = False,
    rules: _Rules = None,
    model: _Model = None,
) -> None:
    """Say what a client's mail asks for, how urgent it is, what is missing, and why.

    [bold]Examples[/bold]

    mailflow triage mail.eml

    mailflow triage --json *.eml | jq .priority.value

    No configuration is needed. A file that cannot be read is named on standard error, the others
    are still done, and the exit code is 1.
    """
    from mailflow.adapters.parse import parse_message
    from mailflow.adapters.triager import Triager
    from mailflow.core.triage_record import as_triage_record

    triager = Triager.load(rules, model)
    failed = False
    for path in files:
        try:
            raw = path.read_bytes()
        except OSError as error:
            typer.echo(f"mailflow: cannot read {path}: {error.strerror or error}", err=True)
            failed = True
            continue
        message = parse_message(raw)
        result = triager.triage(message)
        if as_json:
            record = as_triage_record(str(path), result)
            sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        else:
            _show(str(path), message, result, triager.version)
    if failed:
        raise typer.Exit(1)


_STYLES = {"kind": "cyan", "priority": "yellow", "exclusion": "magenta", "requested": "green"}


def _show(file: str, message: "InboundMessage", result: "Triage", version: str) -> None:
    """Print a triage for a person: the decisions, the evidence for each, the marked text."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(f"{file} — {message.subject or 'no subject'}", style="bold"))
    table = Table("decision", "value", "sure", "the client's words", "words that moved the model")
    marked = Text(message.text)
    for name, judged in (
        ("kind", result.kind),
        ("priority", result.priority),
        ("exclusion", result.exclusion),
        ("requested", result.requested_priority),
    ):
        said = [one for one in judged.evidence if one.source != "model"]
        moved = [one.text for one in judged.evidence if one.source == "model"]
        for one in said:
            if one.start is not None and one.end is not None:
                marked.stylize(f"reverse {_STYLES[name]}", one.start, one.end)
        words = "\n".join(f"“{one.text}” ({one.source})" for one in said)
        value = "—" if judged.value is None else str(getattr(judged.value, "value", judged.value))
        table.add_row(
            Text(name, style=_STYLES[name]),
            value,
            f"{judged.confidence:.0%}",
            Text(words),
            Text(", ".join(moved)),
        )
    console.print(table)
    if result.kind.value == "problem":
        console.print(_fields_table(result))
    console.print(f"outcome: [bold]{result.outcome.value}[/bold]   ({version})")
    for reason in result.review.reasons:
        console.print(Text(f"review: {reason}", style="red"))
    console.print(Panel(marked, title="text", border_style="dim"))


def _fields_table(result: "Triage") -> object:
    from rich.table import Table
    from rich.text import Text

    fields = result.fields
    table = Table("required item", "state", "text found")
    for name, field in (
        ("description", fields.description),
        ("feature", fields.feature),
        ("steps", fields.steps),
    ):
        table.add_row(name, "given" if field.present else "missing", Text(field.text or ""))
    error = fields.error_message
    table.add_row("error message", error.status.value, Text(error.text or ""))
    return table


def _corrections_of_agents(config: Path | None, folder: Path) -> list[Path]:
    """Write what agents corrected beside the models, to be looked at; none without a desk."""
    if config is None:
        return []
    from mailflow.adapters.database import open_database
    from mailflow.config import load_config
    from mailflow.services.corrections import labelled_corrections

    database = open_database(load_config(config).database.url)
    found = labelled_corrections(database)
    database.close()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "corrections.jsonl"
    lines = [json.dumps(each, ensure_ascii=False) for each in found]
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return [file] if lines else []


def train(
    folder: Annotated[Path, typer.Option("-o", "--output", help="Folder of models to write to.")],
    corrections: Annotated[
        list[Path] | None,
        typer.Argument(help="Labelled mails to add, as .jsonl.", metavar="[SET.jsonl…]"),
    ] = None,
    rules: _Rules = None,
    config: Annotated[
        Path | None,
        typer.Option("-c", "--config", help="Also learn from what agents corrected at this desk."),
    ] = None,
) -> None:
    """Train the model on the shipped mails and those given; promote it if it is not worse.

    [bold]Examples[/bold]

    mailflow train -o models

    mailflow train -o models -c config.toml      (with the corrections of agents)

    mailflow train -o models corrections.jsonl

    The same mails give the same model. The new version is put in force only if it does not do
    worse than the present one on the frozen golden set; the one before is kept.
    """
    from rich.console import Console

    from mailflow.services.evaluate_report import show_figures
    from mailflow.services.train import train as train_model
    from mailflow.services.train_data import read_examples, shipped_training_files

    console = Console(stderr=True)
    added = [*(corrections or []), *_corrections_of_agents(config, folder)]
    examples = read_examples([*shipped_training_files(), *added])
    with console.status(f"{len(examples)} mails") as status:
        trained, promoted, reason = train_model(
            examples, folder, lambda step: status.update(f"training: {step}"), rules
        )
    out = Console()
    out.print(f"model {trained.model.version}: {len(examples)} mails")
    out.print("[bold]Mails that the model had not seen (cross-validation)[/bold]")
    show_figures(out, trained.metrics["unseen"])
    out.print("[bold]Golden set, by a model trained without it[/bold]")
    show_figures(out, trained.metrics["golden"])
    out.print(f"{'promoted' if promoted else 'not promoted'}: {reason}")
    if not promoted:
        raise typer.Exit(1)


def evaluate(
    sets: Annotated[list[Path], typer.Argument(help="Labelled mails.", metavar="SET.jsonl…")],
    rules: _Rules = None,
    model: _Model = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The figures as one JSON object.")
    ] = False,
    worst: Annotated[int, typer.Option(help="How many of the surest errors to list.")] = 10,
) -> None:
    """Measure the model on labelled mails: confusion, calibration, coverage, errors, flips.

    [bold]Examples[/bold]

    mailflow evaluate labelled.jsonl

    mailflow evaluate --json labelled.jsonl

    The format is that of docs/triage.md. Mails that share a `pair` are minimal pairs.
    """
    from rich.console import Console

    from mailflow.adapters.models import load_model
    from mailflow.adapters.triager import MODELS
    from mailflow.services.evaluate import answers_of_model, measure
    from mailflow.services.evaluate_report import count_flips, show_report
    from mailflow.services.train import load_matchers
    from mailflow.services.train_data import prepare, read_examples

    loaded = load_model(model or MODELS)
    examples = read_examples(sets)
    if not examples:
        raise MailflowError("no labelled mails in the files given")
    answers = answers_of_model(loaded, prepare(examples, load_matchers(rules), loaded.acts))
    figures = measure(answers, loaded.thresholds)
    if as_json:
        figures["pairs"] = count_flips(answers)
        sys.stdout.write(json.dumps(figures, ensure_ascii=False) + "\n")
        return
    show_report(Console(), answers, loaded.thresholds, worst)

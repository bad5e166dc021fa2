"""What several commands share: the -c option, opening a desk, printing JSON."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mailflow.config import load_config
from mailflow.desk import Desk, open_desk
from mailflow.logs import set_up_logs

ConfigOption = Annotated[
    Path, typer.Option("-c", "--config", help="The configuration file.", envvar="MAILFLOW_CONFIG")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Reference = Annotated[str, typer.Argument(help="A reference such as MF-2026-000123, or an id.")]
DEFAULT_CONFIG = Path("config.toml")

console = Console(soft_wrap=False)
errors = Console(stderr=True)


def desk_from(config: Path) -> Desk:
    """Open the desk that `config` describes. Raises ConfigError or GatewayError."""
    settings = load_config(config)
    set_up_logs(settings.logging)
    return open_desk(settings)


def print_json(value: Any) -> None:
    """Print one JSON value on one line, at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()

"""`mailflow demo`: the main job, end to end, on embedded servers."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from mailflow.cli.common import console


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command("demo")(demo)


def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Keep everything here; must be empty or not there yet.")
    ] = None,
) -> None:
    """Show the main job on real servers of its own, on this machine only; takes half a minute.

    Example: mailflow demo --folder /tmp/mailflow-demo
    """
    from mailflow.demo.show import run_demo
    from mailflow.logs import set_up_logs
    from mailflow.settings import Logging

    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="mailflow-demo-"))
    elif folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty", param_hint="--folder")
    folder.mkdir(parents=True, exist_ok=True)
    set_up_logs(Logging(level="error"))
    run_demo(folder.resolve(), console)

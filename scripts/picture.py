"""Draw the pictures of the README: each scene of `mailflow demo` as docs/demo-N.svg."""

import io
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from mailflow.demo.show import run_demo
from mailflow.logs import set_up_logs
from mailflow.settings import Logging

TOP = Path(__file__).resolve().parents[1]


class Scenes(Console):
    """A console that keeps each scene, from one rule to the next, as a picture."""

    number = -1

    def rule(self, *arguments: Any, **options: Any) -> None:
        """End the scene before the rule, and begin the next."""
        self.keep()
        super().rule(*arguments, **options)

    def status(self, *arguments: Any, **options: Any) -> Any:
        """Show no spinner: it does not belong in a picture."""
        return nullcontext()

    def keep(self) -> None:
        """Write what was shown since the last rule."""
        if self.number >= 1:
            self.save_svg(str(TOP / "docs" / f"demo-{self.number}.svg"), title="mailflow demo")
        else:
            self.export_text()
        self.number += 1


def main() -> None:
    """Play the demonstration and keep its pictures."""
    set_up_logs(Logging(level="error"))
    console = Scenes(record=True, width=118, file=io.StringIO(), force_terminal=True)
    with tempfile.TemporaryDirectory(prefix="mailflow-demo-") as folder:
        run_demo(Path(folder), console)
    console.keep()


if __name__ == "__main__":
    sys.exit(main())

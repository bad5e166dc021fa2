"""Named places at which tests end the process, as a power cut would.

Switched on by the environment only: MAILFLOW_FAILPOINT="name" dies at the first passage,
"name:3" at the third. Off, a passage costs one dictionary look-up.
"""

import os
import signal

_passages: dict[str, int] = {}


def reach(name: str) -> None:
    """Pass the failpoint `name`; kill this very process (SIGKILL) where a test asks for it."""
    wanted = os.environ.get("MAILFLOW_FAILPOINT")
    if wanted is None:
        return
    wanted_name, _, count = wanted.partition(":")
    if name == wanted_name:
        _passages[name] = _passages.get(name, 0) + 1
        if _passages[name] >= int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)

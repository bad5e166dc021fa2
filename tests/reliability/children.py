"""Child processes that work on a desk and are killed."""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable

from mailflow.adapters.parse import parse_message
from mailflow.adapters.triager import Triager
from tests.reliability.mails import make_mails

PR_SET_PDEATHSIG = 1  # Linux: the signal that a process gets when its parent ends


def warm_triager() -> Triager:
    """Load the triage models and use each once, so that no child has to."""
    triager = Triager.load()
    own = frozenset({"support@support.example"})
    triager.triage_many([parse_message(mail, own) for mail in make_mails(12)])
    return triager


def end_with_servers() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does: its servers are stopped first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def fork(work: Callable[[], None]) -> int:
    """Do `work` in a child process and return its id. It ends with 0, or with 1 where it raised.

    The child dies with its parent (on Linux), stopped or not.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                raise RuntimeError("the parent is gone")
        work()
        code = 0
    except BaseException as error:  # the child must never run the parent's code
        print(f"child: {type(error).__name__}: {error}; {_way(error)}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _way(error: BaseException) -> str:
    """Return the functions through which `error` came."""
    return " > ".join(frame.name for frame in traceback.extract_tb(error.__traceback__))


def wait_for(pid: int) -> int:
    """Wait for a child's end; return its code, or the signal that ended it, negative."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill(pid: int) -> int:
    """Kill a child of ours and wait for its end; return its code as `wait_for` does."""
    os.kill(pid, signal.SIGKILL)
    return wait_for(pid)

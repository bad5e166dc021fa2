import os
import socket
import subprocess

import pytest

from mailflow.workers import is_dead, worker_name

HOST = socket.gethostname()[:40]


def gone():
    """The id of a process of ours that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_no_two_workers_have_one_name():
    names = {worker_name() for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith(f"{HOST}:{os.getpid()}:") for name in names)


def test_a_worker_whose_process_is_gone_is_dead():
    assert is_dead(f"{HOST}:{gone()}:abcd1234")


@pytest.mark.parametrize(
    "worker",
    [
        pytest.param(f"{HOST}:{os.getpid()}:abcd1234", id="this very process"),
        pytest.param(f"{HOST}:{os.getppid()}:abcd1234", id="one that runs"),
        f"{HOST}:1:abcd1234",  # one that runs, perhaps someone else's
        f"other-{HOST}:{2**22 + 1}:abcd1234",  # another host: who knows
        f"{HOST}::abcd1234",
        f"{HOST}:-1:abcd1234",
        f"{HOST}:x:abcd1234",
        f"{HOST}:0:abcd1234",  # would be our own group
        f"{HOST}:{10**30}:abcd1234",  # no process id
        HOST,
        "",
    ],
)
def test_in_doubt_a_worker_lives(worker):
    assert not is_dead(worker)


def test_a_process_of_someone_else_lives(monkeypatch):
    def refuse(pid, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not is_dead(f"{HOST}:{os.getpid() + 1}:abcd1234")

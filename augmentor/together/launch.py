"""Training on several devices: one process each, that all run the same command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

PAUSE = 0.1
"""Seconds between looks at the processes."""


def member() -> bool:
    """Whether this process is one of a team's."""
    return "RANK" in os.environ


def leads() -> bool:
    """Whether this process speaks for its team; one alone does."""
    return os.environ.get("RANK", "0") == "0"


def launch(devices: int, arguments: Sequence[str]) -> int:
    """Run ``augmentor ARGUMENTS`` in ``devices`` processes of one team; returns the first exit code that is not 0.

    Where one fails, the others are ended; SIGTERM reaches them all, Ctrl-C does of itself. What ``torchrun`` starts,
    on one machine or several, works alike: the team is found in the same environment variables.
    """
    threads = str(max(1, (os.cpu_count() or 1) // devices))
    shared = {"WORLD_SIZE": str(devices), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    members = [
        subprocess.Popen(
            [sys.executable, "-m", "augmentor", *arguments],
            env={"OMP_NUM_THREADS": threads} | os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(devices)
    ]

    def pass_on(number: int, frame: FrameType | None) -> None:
        for member in members:
            member.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return _wait(members)
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, ignored)


def _wait(members: Sequence[subprocess.Popen[bytes]]) -> int:
    """Until all have ended; the first to fail takes the others along."""
    first = 0
    while any(member.poll() is None for member in members):
        failed = [code for member in members if (code := member.poll())]
        if failed and not first:
            first = failed[0]
            time.sleep(10 * PAUSE)
            for member in members:
                member.terminate()
        time.sleep(PAUSE)
    return first or next((code for member in members if (code := member.poll())), 0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

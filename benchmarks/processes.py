"""Runs commands and watches what they cost: wall seconds and peak resident memory of the whole tree.

Knows operating system processes; knows nothing of Rankmill.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

RANKMILL = [str(Path(sys.executable).with_name("rankmill"))]


@dataclass
class Watched:
    """A running command. `peak_bytes` maps each process's short name to its largest resident size."""

    process: subprocess.Popen[str]
    started_at: float
    peak_bytes: dict[str, int] = field(default_factory=dict)

    def watch(self, interval_s: float = 0.2) -> None:
        try:
            root = psutil.Process(self.process.pid)
            while self.process.poll() is None:
                for member in [root, *root.children(recursive=True)]:
                    self._note(member)
                time.sleep(interval_s)
        except psutil.NoSuchProcess:
            pass

    def _note(self, member: psutil.Process) -> None:
        try:
            command_line = member.cmdline()
            if not command_line:  # just ending
                return
            name = f"{_short_name(command_line)} ({member.pid})"
            self.peak_bytes[name] = max(self.peak_bytes.get(name, 0), member.memory_info().rss)
        except psutil.Error:
            pass


def start(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Watched:
    """Start a command with `environment` added to ours; its memory is sampled until it ends."""
    process = subprocess.Popen(
        list(command), env={**os.environ, **(environment or {})}, text=True, stdout=subprocess.PIPE
    )
    watched = Watched(process, time.monotonic())
    threading.Thread(target=watched.watch, daemon=True).start()
    return watched


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[float, Watched, str]:
    """Run a command to its end. Returns wall seconds, what was watched, and its standard output."""
    watched = start(command, environment)
    output, _ = watched.process.communicate()
    seconds = time.monotonic() - watched.started_at
    if watched.process.returncode not in (0, 7):
        raise SystemExit(f"{' '.join(command)} ended with exit code {watched.process.returncode}")
    return seconds, watched, output


def _short_name(command_line: Sequence[str]) -> str:
    text = " ".join(command_line)
    for mark, name in (
        ("redis-server", "redis"),
        ("postgres", "postgres"),
        ("billiard", "worker child"),
        ("-m rankmill.worker", "worker"),
        ("rankmill", "producer"),
    ):
        if mark in text:
            return name
    return Path(command_line[0]).name

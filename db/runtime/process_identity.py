"""Who a process is: machine, pid and start time, so that a pid used again is not mistaken for the old one."""

import os
import platform
import socket
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process for all time.

    `machine` names the host since its last boot and, on Linux, the pid namespace the pid counts in.
    `started` is when it started, as the system says it: only good for comparing.
    """

    machine: str
    pid: int
    started: str


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    return identity_of(os.getpid())


def parent_process() -> ProcessIdentity:
    """The identity of the process that started the calling one, or of whoever took its place."""
    return identity_of(os.getppid())


def identity_of(pid: int) -> ProcessIdentity:
    """The identity of a process of this machine; one that is gone stays gone."""
    return ProcessIdentity(machine=this_machine(), pid=pid, started=start_of(pid) or "")


@cache
def this_machine() -> str:
    """Host name, boot and pid namespace: pids may be compared where all three agree."""
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        parts.append(platform.system())
    return "/".join(parts)


def start_of(pid: int) -> str | None:
    """When the living process `pid` started; None when there is none, or only its unreaped remains."""
    if not Path("/proc/self/stat").exists():
        return start_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name may hold spaces and brackets; after its last bracket the fields are plain.
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return None if state in {"Z", "X", "x"} else started


def start_by_ps(pid: int) -> str | None:
    found = subprocess.run(
        ["ps", "-o", "lstart=,state=", "-p", str(pid)],  # noqa: S607 - ps has no one path across systems
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    started, _, state = found.stdout.strip().rpartition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether that very process still runs. Of a process on another machine nothing is known: it is alive."""
    if identity.machine != this_machine():
        return True
    started = start_of(identity.pid)
    return is_hidden(identity.pid) if started is None else started == identity.started


def is_hidden(pid: int) -> bool:
    """Whether a process has this pid that is another user's: its start may then be none of our business."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False

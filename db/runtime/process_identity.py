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
    """One process, even after its pid is used again.

    `machine` names the host, its boot and, on Linux, the pid namespace of the pid.
    `started` is the start time as the system gives it, only good for comparing.
    """

    machine: str
    pid: int
    started: str


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    return identity_of(os.getpid())


def parent_process() -> ProcessIdentity:
    """The identity of the calling process's parent: whoever started it, or took the starter's place."""
    return identity_of(os.getppid())


def identity_of(pid: int) -> ProcessIdentity:
    """The identity of a process of this machine. That of a process which is gone is never alive again."""
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
    """When the living process `pid` started; None if there is none, or only a zombie."""
    if not Path("/proc/self/stat").exists():
        return start_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name may hold spaces and brackets. After the last bracket the fields are plain.
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
    """Whether that very process still runs. A process on another machine counts as alive."""
    if identity.machine != this_machine():
        return True
    started = start_of(identity.pid)
    return is_hidden(identity.pid) if started is None else started == identity.started


def is_hidden(pid: int) -> bool:
    """Whether this pid is a process of another user, whose start time may be unreadable."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False

"""A private folder for the socket and logs of one run. It is removed when the run ends.

Folders of killed runs are removed by the next run. Knows files and locks, and how to end a broker that was
left in a folder; knows nothing else of what is in it.
"""

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

PREFIX = "rankmill-run-"
SOCKET_NAME = "redis.sock"
MAX_SOCKET_PATH_BYTES = 100  # the kernel's limit is 108 on Linux and 104 on macOS
_YOUNG_S = 60.0


def _base() -> Path:
    """The temporary folder, or /tmp if its path is too long for a unix socket in it."""
    base = Path(tempfile.gettempdir())
    longest = base / f"{PREFIX}12345678" / SOCKET_NAME
    return base if len(os.fsencode(longest)) <= MAX_SOCKET_PATH_BYTES else Path("/tmp")  # noqa: S108


class ScratchFolder:
    """A folder that only this user can enter (mode 0700), locked while this process lives."""

    def __init__(self) -> None:
        base = _base()
        remove_abandoned(base)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        self._lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    @property
    def socket(self) -> Path:
        return self.path / SOCKET_NAME

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_abandoned(base: Path) -> None:
    """Removes the folders of dead runs, and ends a broker that may still run in one."""
    for folder in base.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid() or not _is_abandoned(folder):
                continue
            _end_broker(folder / SOCKET_NAME)
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    if not (folder / "lock").exists():  # about to be locked, or not one of ours
        return False
    if time.time() - folder.stat().st_mtime < _YOUNG_S and not (folder / SOCKET_NAME).exists():
        return False  # between creating the lock file and taking the lock
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _end_broker(path: Path) -> None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        connection.connect(str(path))
        connection.sendall(b"SHUTDOWN NOSAVE\r\n")

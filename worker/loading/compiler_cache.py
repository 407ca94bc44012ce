"""Where PyTorch's compiler keeps what it makes: programs and pickles, which it runs when it finds them again.

Left to itself it takes a folder below /tmp whose name everybody knows and may take first, and sets that in
the environment as soon as it is imported.
"""

import logging
import os
import stat
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

log = logging.getLogger("rankmill.worker")

SETTING = "TORCHINDUCTOR_CACHE_DIR"
# The compiler for GPUs, which it calls, has a setting of its own.
GPU_SETTING = "TRITON_CACHE_DIR"
OWN_CHOICE = "torchinductor_"


@cache
def use_own_folder() -> TemporaryDirectory[str] | None:
    """The folder that was chosen, if nobody else can write to it; else a new one, which goes when the process
    ends. Once and for all in a process: compilers do not look at their settings again.
    """
    chosen = os.environ.get(SETTING, "")
    folder = Path(chosen).resolve()
    is_chosen = bool(chosen) and not Path(chosen).name.startswith(OWN_CHOICE)
    if is_chosen and _is_ours_alone(folder):
        _name(folder)
        return None
    if is_chosen:
        log.warning("compiler_folder_refused", extra={"fields": {"setting": SETTING, "folder": chosen}})
    made = TemporaryDirectory(prefix="rankmill-compiled-")
    _name(Path(made.name))
    return made


def _name(folder: Path) -> None:
    os.environ[SETTING] = str(folder)
    os.environ[GPU_SETTING] = str(folder / "triton")


def _is_ours_alone(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

"""Where PyTorch's compiler caches programs and pickles, which it runs when it finds them again.

By default it uses a folder below /tmp whose name anybody can predict and create first, and sets that in the
environment as soon as it is imported.
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
def use_private_folder() -> TemporaryDirectory[str] | None:
    """Lets compilers use the folder that the user chose, if nobody else can write to it; otherwise a new one.

    Returns the new one, which is removed when the process ends. Decided once for a process, because compilers
    do not look at their settings again.
    """
    chosen = os.environ.get(SETTING, "")
    folder = Path(chosen).resolve()
    is_chosen = bool(chosen) and not Path(chosen).name.startswith(OWN_CHOICE)
    if is_chosen and _is_private(folder):
        _set_folder(folder)
        return None
    if is_chosen:
        log.warning("compiler_folder_refused", extra={"fields": {"setting": SETTING, "folder": chosen}})
    made = TemporaryDirectory(prefix="rankmill-compiled-")
    _set_folder(Path(made.name))
    return made


def _set_folder(folder: Path) -> None:
    os.environ[SETTING] = str(folder)
    os.environ[GPU_SETTING] = str(folder / "triton")


def _is_private(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

"""Digests of large files, remembered by each file's identity: weights are read once, not at every start.

A file is the same while its device, inode, size and times of change are; one changed just now is not trusted.
What cannot be remembered is computed again: nothing here ever fails for want of a cache.
"""

import hashlib
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

# A file may be written to twice within one tick of its clock, the second time unseen.
SETTLED_S = 2.0
MAX_REMEMBERED = 512
WORTH_REMEMBERING_BYTES = 2**20


def content_digest(path: Path) -> str:
    """SHA-256 of the file's content, in hex."""
    status = path.stat()
    is_worth_it = status.st_size >= WORTH_REMEMBERING_BYTES
    name, identity = str(path.resolve()), _identity(status)
    if is_worth_it:
        known = _remembered().get(name)
        if isinstance(known, list) and known[:-1] == identity:
            return str(known[-1])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    is_settled = time.time() - max(status.st_mtime, status.st_ctime) > SETTLED_S
    if is_worth_it and is_settled and _identity(path.stat()) == identity:
        _remember(name, [*identity, digest])
    return digest


def _identity(status: os.stat_result) -> list[int]:
    # The time of the inode's change, too: it cannot be set back as the content's can.
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "rankmill" / "digests.json"


def _remembered() -> dict[str, object]:
    try:
        found = json.loads(_cache().read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(name: str, entry: list[int | str]) -> None:
    """Adds an entry, the newest last. Of two processes that do so at once one entry may be lost."""
    entries = _remembered()
    entries.pop(name, None)
    entries[name] = entry
    kept = dict(list(entries.items())[-MAX_REMEMBERED:])
    with suppress(OSError, RuntimeError):
        cache = _cache()
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, written = tempfile.mkstemp(dir=cache.parent, prefix=".digests-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        Path(written).replace(cache)

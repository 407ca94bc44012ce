"""Digests of large files, cached by each file's identity: weights are read once, not at every start.

A file is the same while its device, inode, size and times of change are. A file that has just changed
is not cached. Nothing here fails because of the cache: a digest that is not in it is computed.
"""

import hashlib
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

# A file may be written twice within one tick of the file system's clock, and the second time does not show.
UNCHANGED_S = 2.0
MAX_CACHED = 512
MIN_CACHED_BYTES = 2**20


def content_digest(path: Path) -> str:
    """SHA-256 of the file's content, in hex."""
    status = path.stat()
    is_large = status.st_size >= MIN_CACHED_BYTES
    name, identity = str(path.resolve()), _identity(status)
    if is_large:
        known = _cached().get(name)
        if isinstance(known, list) and known[:-1] == identity:
            return str(known[-1])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    is_unchanged = time.time() - max(status.st_mtime, status.st_ctime) > UNCHANGED_S
    if is_large and is_unchanged and _identity(path.stat()) == identity:
        _add(name, [*identity, digest])
    return digest


def _identity(status: os.stat_result) -> list[int]:
    # The inode's time of change, too: unlike the content's it cannot be set back.
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "rankmill" / "digests.json"


def _cached() -> dict[str, object]:
    try:
        found = json.loads(_cache().read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):
        return {}
    return found if isinstance(found, dict) else {}


def _add(name: str, entry: list[int | str]) -> None:
    """Adds an entry, newest last. When two processes do so at once, one entry may be lost."""
    entries = _cached()
    entries.pop(name, None)
    entries[name] = entry
    newest = dict(list(entries.items())[-MAX_CACHED:])
    with suppress(OSError, RuntimeError):
        cache = _cache()
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, written = tempfile.mkstemp(dir=cache.parent, prefix=".digests-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(newest, file)
        Path(written).replace(cache)

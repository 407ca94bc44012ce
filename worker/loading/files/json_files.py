"""Reads the small JSON files of a model, within bounds."""

import json
from pathlib import Path
from typing import Any

from rankmill.db.scorers.folder_facts import MAX_JSON_BYTES
from rankmill.worker.errors import NotAModel


def read_object(model: str, path: Path) -> dict[str, Any]:
    """The object in a file. Raises NotAModel where there is none."""
    content = read_any(model, path)
    if not isinstance(content, dict):
        raise NotAModel(model, f"readable {path.name} (it holds no object)")
    return content


def read_any(model: str, path: Path) -> Any:
    """The JSON in a file. Raises NotAModel for what cannot be read."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise NotAModel(model, f"readable {path.name} (it is larger than {MAX_JSON_BYTES:,} bytes)")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise NotAModel(model, f"readable {path.name} ({error})") from error

"""Where this repository lies, and the version it says it is."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def declared_version() -> str:
    """The version in pyproject.toml."""
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return version

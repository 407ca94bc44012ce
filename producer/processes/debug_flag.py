"""Whether `--debug` was given, which sets RANKMILL_DEBUG."""

import os


def wants_debug() -> bool:
    return os.environ.get("RANKMILL_DEBUG", "") not in ("", "0")

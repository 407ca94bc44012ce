"""Says what machine a figure was measured on. Knows Linux's /proc and falls back to the platform module."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def describe() -> str:
    """One line: date, processor, cores, memory, Python."""
    cpu = platform.processor() or platform.machine()
    flags = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        fields = {key.strip(): value.strip() for key, value in fields.items()}
        cpu = fields.get("model name", cpu)
        known = [
            flag for flag in ("avx2", "avx512_bf16", "amx_bf16") if flag in fields.get("flags", "").split()
        ]
        flags = f" ({', '.join(known)})" if known else ""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cpu}{flags}, {os.cpu_count()} cores, "
        f"{memory_bytes / 2**30:.0f} GiB, Python {platform.python_version()}"
    )

"""A process of its own that does one thing to a store and then waits to be killed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.repository import ROOT


@contextmanager
def other_process(program: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Runs a Python program until it has printed a line; ends it afterwards if it still runs."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            program + "\nprint('ready', flush=True)\nimport sys; sys.stdin.read()",
            *arguments,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "ready\n", f"the other process ended with {process.wait()}: {line!r}"
        yield process
    finally:
        process.kill()
        process.communicate()

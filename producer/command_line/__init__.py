"""The command line: flags in, words and exit codes out. The work itself is done by the rooms around it."""

from rankmill.producer.command_line.application import main

__all__ = ["main"]

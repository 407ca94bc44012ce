"""What can go wrong on the producer's side, as names, sentences and exit codes.

Each message tells a person what to do. Separate from the code that raises them, so that the command line
can turn any of them into its exit code without importing that code.
"""

import os
from typing import ClassVar


class RankmillError(Exception):
    """Something stopped the producer; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 6


class UsageError(RankmillError):
    """The command or call was asked for in a way that cannot work."""

    exit_code: ClassVar[int] = 2


class MissingPrerequisite(RankmillError):
    """Something that must be installed, started or set up is not there."""

    exit_code: ClassVar[int] = 3


class ResourceExhausted(RankmillError):
    """The machine ran out of something: disk, memory, device memory."""

    exit_code: ClassVar[int] = 4


class InputError(RankmillError):
    """An input is wrong, at a place a person can look at.

    `path` is the file as it was named, or `<documents>` and the like for an iterable;
    `line` counts from 1 (an iterable's position from 1) and is None where the whole input is meant.
    """

    exit_code: ClassVar[int] = 5

    def __init__(self, path: str | os.PathLike[str], line: int | None, problem: str, remedy: str) -> None:
        self.path, self.line, self.problem, self.remedy = os.fspath(path), line, problem, remedy
        word = "item" if self.path.startswith("<") else "line"
        place = self.path if line is None else f"{self.path}, {word} {line}"
        super().__init__(f"{place}: {problem}. {remedy}")

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, int | None, str, str]]:
        return type(self), (self.path, self.line, self.problem, self.remedy)


class RuntimeFailure(RankmillError):
    """A part that was there stopped working."""

    exit_code: ClassVar[int] = 6

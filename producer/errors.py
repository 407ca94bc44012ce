"""What can go wrong on the producer's side, with exit codes. Each message tells a person what to do.

Separate from the code that raises them, so that the command line can turn each into an exit code without
importing that code.
"""

import os
from typing import ClassVar


class RankmillError(Exception):
    """An error of the producer; the command line ends with its `exit_code`."""

    exit_code: ClassVar[int] = 6


class UsageError(RankmillError):
    """The command or call cannot work as it was given."""

    exit_code: ClassVar[int] = 2


class MissingPrerequisite(RankmillError):
    """Something must be installed, started or set up first."""

    exit_code: ClassVar[int] = 3


class ResourceExhausted(RankmillError):
    """The machine ran out of something: disk, memory, device memory."""

    exit_code: ClassVar[int] = 4


class InputError(RankmillError):
    """An input is wrong, at a place where a person can look.

    `path` is the file as it was given, or words in angle brackets such as `<documents>`. `line` is the line
    of a file or the position of a value, from 1; None means the whole input.
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
    """Something that worked stopped working."""

    exit_code: ClassVar[int] = 6

"""Protects inputs and the files of the store from being overwritten by results.

Knows paths; knows no format and no writing.
"""

from collections.abc import Iterable
from pathlib import Path

from rankmill.db.store.urls import files_of
from rankmill.producer.errors import UsageError
from rankmill.producer.results.files import Output
from rankmill.producer.sources.lines import is_path


def check_no_overwrite(output: Output, store: str, *sources: object) -> None:
    """Raises UsageError if `output` is one of the sources that are paths, or a file of the store at this URL.

    Compares files, not names: links and other spellings of a path count too. Pipes and devices may be both.
    Raises WrongStoreUrl.
    """
    path = output.path
    if path is None or (path.exists() and not path.is_file()):
        return
    if _is_one_of(path, (Path(source) for source in sources if is_path(source))):
        raise UsageError(f"{path} is an input: the results would overwrite it. Name another file.")
    if _is_one_of(path, files_of(store)):
        raise UsageError(f"{path} belongs to the store: the results would overwrite it. Name another file.")


def _is_one_of(path: Path, others: Iterable[Path]) -> bool:
    return any(_is_same(path, other) for other in others)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # one is not there yet: the store before the first run
        return path.resolve() == other.resolve()

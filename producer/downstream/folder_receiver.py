"""A folder as a receiver of changes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rankmill.db.records.rankings import ChangeRow
from rankmill.producer.downstream.change_formats import as_jsonl
from rankmill.producer.downstream.receiver import Refusal
from rankmill.producer.errors import RuntimeFailure
from rankmill.producer.results.atomic_file import atomic_file


class FolderReceiver:
    """Writes files of JSON lines, named by their first and last cursor; each appears whole."""

    def __init__(self, path: Path) -> None:
        self.num_newer = 0
        self._path = path.resolve()
        self.name = f"folder {self._path}"

    def send(self, rows: Sequence[ChangeRow]) -> Mapping[int, Refusal]:
        name = f"changes-{rows[0].cursor:016d}-{rows[-1].cursor:016d}.jsonl"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            with atomic_file(self._path / name, buffer_bytes=2**18) as stream:
                for row in rows:
                    stream.write(as_jsonl(row))
        except OSError as error:
            raise RuntimeFailure(f"{self._path} cannot be written: {error.strerror or error}.") from error
        return {}

    def close(self) -> None:
        """Nothing stays open between chunks."""

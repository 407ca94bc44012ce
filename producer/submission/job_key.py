"""The key of a job: the same inputs and the same scorer are the same job. Knows no order of reading."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from rankmill.db.corpus.collections import COLLECTIONS, QUERY_SETS, identity
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.scorers.identity import asked_facts
from rankmill.db.store.store import Store
from rankmill.producer.sources.digests import RowsDigest, check_unchanged, content_digest, stamp_of
from rankmill.producer.sources.lines import FilePath, is_path
from rankmill.producer.sources.stored import Collection, QuerySet

if TYPE_CHECKING:
    from rankmill.producer.submission.inputs import Inputs

T = TypeVar("T", bound=tuple[object, ...])

_KEY_VERSION = 1
_ALL_PAIRS = "all pairs"


class JobKey:
    """The digests that make up a job's key: files by their bytes before reading, rows while they pass,
    what the store keeps by its version.
    """

    def __init__(self, store: Store, inputs: "Inputs", key: str | None) -> None:
        self._key = key
        sources = {"queries": inputs.queries, "candidates": inputs.candidates, "documents": inputs.corpus}
        self._of_files: dict[str, str] = {}
        self._of_rows: dict[str, RowsDigest] = {}
        self._stamps: dict[FilePath, tuple[int, ...] | None] = {}
        for kind, source in sources.items():
            if source is None:
                self._of_files[kind] = _ALL_PAIRS
            elif isinstance(source, Collection):
                self._of_files[kind] = identity(store, COLLECTIONS, source.name)
            elif isinstance(source, QuerySet):
                self._of_files[kind] = identity(store, QUERY_SETS, source.name)
            elif is_path(source):
                # Before the digest: whatever is written after it, even while it is taken, is seen.
                self._stamps.setdefault(source, stamp_of(source))
                self._of_files[kind] = content_digest(source)
            else:
                self._of_rows[kind] = RowsDigest()

    @property
    def are_all_files(self) -> bool:
        return not self._of_rows

    def passing(self, kind: str, rows: Iterable[T]) -> Iterator[T]:
        """The same rows; those that are not a file's are digested on their way."""
        return self._of_rows[kind].passing(rows) if kind in self._of_rows else iter(rows)

    def took(self, kind: str, identity: str) -> None:
        """Notes which version was taken: a sync may have come since it was looked at."""
        self._of_files[kind] = identity

    def check_unchanged(self) -> None:
        """Raises InputError if a file was written to since its digest was taken."""
        for path, stamp in self._stamps.items():
            check_unchanged(path, stamp)

    def key(self, scorer: ScorerSpec) -> str:
        if self._key is not None:
            return self._key
        of_rows = {kind: f"rows {digest.hexdigest()}" for kind, digest in self._of_rows.items()}
        parts = {"version": _KEY_VERSION, "scorer": asked_facts(scorer), "inputs": self._of_files | of_rows}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

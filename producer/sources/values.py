"""Values from Python as a source: digested while they are read, because an iterator is read only once."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from rankmill.db.store.store import Store

D = TypeVar("D")
R = TypeVar("R", bound=tuple[object, ...])


class ValueSource(Generic[D, R]):
    """Values. `read` yields their rows, `add` adds these to a draft; `label` names them in messages."""

    def __init__(
        self, label: str, read: Callable[[], Iterable[R]], add: Callable[[D, Iterable[R]], None]
    ) -> None:
        self.label = label
        self._read, self._add = read, add

    def identity(self, store: Store) -> None:  # noqa: ARG002  (it is known once they are read)
        return None

    def enter(self, draft: D) -> str:
        digest = hashlib.sha256()

        def digested() -> Iterator[R]:
            for row in self._read():
                digest.update(repr(tuple(row)).encode())
                yield row

        self._add(draft, digested())
        return f"rows {digest.hexdigest()}"

    def check_unchanged(self) -> None:
        """Values are read once, so what was digested is what was added."""

"""Submission: inputs become a recorded job. The same inputs and the same scorer are the same job.

Knows the order of reading and what a wrong id means for the person who wrote the file; knows no broker.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TypeVar

from db.amending import amend
from db.drafts import draft
from db.errors import DuplicateId, EmptyDraft, UnknownId
from db.kept import COLLECTIONS, QUERY_SETS, identity
from db.publish_requests import ask
from db.publishing import find
from db.records import JobRequest, Priority, Publishing, ScorerSpec, Submission, Telling
from db.scorers import asked_facts
from db.settings import Settings
from db.store import Store
from producer.errors import InputError, UsageError
from producer.readers import (
    RowsDigest,
    content_digest,
    is_path,
    read_candidates,
    read_documents,
    read_queries,
    source_name,
)
from producer.readers.candidates import CandidateSource
from producer.readers.digests import check_unchanged, stamp_of
from producer.readers.documents import DocumentSource
from producer.readers.lines import FilePath
from producer.readers.queries import QuerySource
from producer.slicing import slice_pairs
from producer.sources import Collection, QuerySet

T = TypeVar("T", bound=tuple[object, ...])

MAX_NAME_CHARS = 200
_KEY_VERSION = 1
_ALL_PAIRS = "all pairs"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to rank: files, Python values as the readers take them, or what the store keeps under a name.

    No candidates means all pairs.
    """

    corpus: DocumentSource | Collection
    queries: QuerySource | QuerySet
    candidates: CandidateSource | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a job may be given besides inputs and scorer; none of it decides a score. None asks for nothing:
    a new job has no name and normal priority, one that was recorded before stays as it is.
    """

    name: str | None = None
    priority: Priority | None = None
    top_k: int | None = None
    min_score: float | None = None
    publishing: Publishing | None = None
    telling: Telling | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Submission):
    """A job that is in the store; `warnings` say what was asked of one recorded before and cannot be."""

    warnings: tuple[str, ...] = ()


def record(
    store: Store,
    inputs: Inputs,
    scorer: ScorerSpec,
    wishes: Wishes,
    settings: Settings,
    *,
    before_new: Callable[[], None] = lambda: None,
) -> Recorded:
    """Records the job, or finds the one that was already recorded for the same inputs and scorer.

    That one is given the wishes, too. Files that were submitted before are recognised by their content
    without being read again. `before_new` is called as soon as it is known that the job is new, and may
    raise. Nothing is recorded when anything is wrong. Raises InputError, NameTaken and the store's errors.
    """
    check_name(wishes.name, "job")
    check_name(None if wishes.publishing is None else wishes.publishing.ranking, "ranking")
    submission = _found_or_published(store, inputs, scorer, wishes, settings, before_new)
    warnings: list[str] = []
    if not submission.is_new:
        warnings = amend(
            store,
            submission.job_id,
            name=wishes.name,
            priority=wishes.priority,
            top_k=wishes.top_k,
            min_score=wishes.min_score,
        )
        if wishes.publishing is not None or wishes.telling is not None:
            job_id = submission.job_id
            store.write(lambda sql: ask(sql, job_id, wishes.publishing, wishes.telling))
    return Recorded(**asdict(submission), warnings=tuple(warnings))


def _found_or_published(
    store: Store,
    inputs: Inputs,
    scorer: ScorerSpec,
    wishes: Wishes,
    settings: Settings,
    before_new: Callable[[], None],
) -> Submission:
    seen = _Digests(store, inputs)
    if seen.are_all_files:
        known = _known(store, seen.key(scorer))
        if known is not None:
            seen.check_unchanged()
            return known
        before_new()
    try:
        return _read_and_publish(store, inputs, scorer, wishes, settings, seen, before_new)
    except DuplicateId as error:
        raise _duplicate(inputs, error) from error
    except UnknownId as error:
        raise InputError(
            source_name(inputs.candidates, "candidates"),
            error.line,
            str(error),
            f"Add the {error.kind} to its file, or remove this line.",
        ) from error
    except EmptyDraft as error:
        raise InputError(
            _name_of(inputs, error.kind), None, str(error), "Check that this is the right file."
        ) from error


def _known(store: Store, key: str) -> Submission | None:
    with store.reading() as connection:
        return find(connection, key)


def _read_and_publish(
    store: Store,
    inputs: Inputs,
    scorer: ScorerSpec,
    wishes: Wishes,
    settings: Settings,
    seen: "_Digests",
    before_new: Callable[[], None],
) -> Submission:
    longest = settings.max_line_bytes
    with draft(store) as sheet:
        if isinstance(inputs.queries, QuerySet):
            seen.took("queries", sheet.use_query_set(inputs.queries.name))
        else:
            sheet.add_queries(seen.passing("queries", read_queries(inputs.queries, max_line_bytes=longest)))
        if inputs.candidates is None:
            sheet.use_all_pairs()
        else:
            rows = read_candidates(inputs.candidates, max_line_bytes=longest)
            sheet.add_candidates(seen.passing("candidates", rows))
        if isinstance(inputs.corpus, Collection):
            seen.took("documents", sheet.use_collection(inputs.corpus.name))
        else:
            documents = read_documents(inputs.corpus, max_line_bytes=longest)
            sheet.add_documents(seen.passing("documents", documents))
        sheet.check()
        seen.check_unchanged()
        key = seen.key(scorer)
        if not seen.are_all_files and _known(store, key) is None:
            before_new()
        request = JobRequest(
            key=key,
            name=wishes.name,
            scorer=scorer,
            priority=wishes.priority or Priority.NORMAL,
            top_k=wishes.top_k,
            min_score=wishes.min_score,
            publishing=wishes.publishing,
            telling=wishes.telling,
        )
        return sheet.publish(request, partial(slice_pairs, shard_tokens=settings.shard_tokens))


class _Digests:
    """The digests that make up a job's key: files by their bytes before reading, rows while they pass,
    what the store keeps by its version.
    """

    def __init__(self, store: Store, inputs: Inputs) -> None:
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
        of_rows = {kind: f"rows {digest.hexdigest()}" for kind, digest in self._of_rows.items()}
        parts = {"version": _KEY_VERSION, "scorer": asked_facts(scorer), "inputs": self._of_files | of_rows}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def check_name(name: str | None, kind: str) -> None:
    """Raises UsageError for what is no name of a job or a ranking."""
    if name is None:
        return
    if len(name) > MAX_NAME_CHARS:
        raise UsageError(
            f"The name {name[:20]!r}... is too long: a {kind}'s has {MAX_NAME_CHARS} letters or less."
        )
    if not name.strip() or name.isdecimal() or not name.isprintable():
        raise UsageError(
            f"A {kind} cannot be named {name!r}: use a word, and not only digits, which are ids."
        )


def _name_of(inputs: Inputs, kind: str) -> str:
    if kind.startswith("quer"):
        return _source_name(inputs.queries, "queries")
    if kind.startswith("document"):
        return _source_name(inputs.corpus, "documents")
    return source_name(inputs.candidates, "candidates")


def _source_name(source: object, kind: str) -> str:
    if isinstance(source, Collection):
        return f"<collection {source.name}>"
    if isinstance(source, QuerySet):
        return f"<query set {source.name}>"
    return source_name(source, kind)


def _duplicate(inputs: Inputs, error: DuplicateId) -> InputError:
    remedy = "Remove one of the two lines." if error.is_same_text else "Give each its own id."
    return InputError(_name_of(inputs, error.kind), error.line, str(error), remedy)

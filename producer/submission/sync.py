"""Syncs: a file becomes what a collection or a query set holds. Knows files; knows no command line."""

from dataclasses import dataclass

from rankmill.db.corpus.collections import COLLECTIONS, NamedSet, find
from rankmill.db.corpus.sync import Difference, note_same_source, open_sync
from rankmill.db.errors import DuplicateId, UnknownName
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.producer.errors import InputError, UsageError
from rankmill.producer.sources.digests import check_unchanged, content_digest, stamp_of
from rankmill.producer.sources.documents import DocumentSource, read_documents
from rankmill.producer.sources.lines import is_path, source_name
from rankmill.producer.sources.queries import QuerySource, read_queries

MAX_NAME_CHARS = 200
# Another number when the same file is read differently: then nothing counts as seen.
_READING_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a sync did, or in a trial would do; `num_members` is what is there afterwards."""

    name: str
    difference: Difference
    num_members: int


def sync(
    store: Store,
    named_set: NamedSet,
    name: str,
    source: DocumentSource | QuerySource,
    settings: Settings,
    *,
    is_trial: bool = False,
) -> Synced:
    """Makes the collection or query set equal to the source, in one visible step; a trial changes nothing.

    The file it was last made equal to is recognised by its content and not read again. Raises InputError,
    UsageError and the store's errors.
    """
    check_name(named_set.noun, name)
    stamp = stamp_of(source) if is_path(source) else None
    digest = f"{_READING_VERSION}:{content_digest(source)}" if is_path(source) else None
    if digest is not None and _is_known(store, named_set, name, digest, is_trial=is_trial):
        num_members = find(store, named_set, name).num_members
        same = Difference(num_added=0, num_changed=0, num_unchanged=num_members, num_removed=0)
        return Synced(name=name, difference=same, num_members=num_members)
    longest = settings.max_line_bytes
    with open_sync(store, named_set, name, is_trial=is_trial) as session:
        try:
            if named_set is COLLECTIONS:
                session.add_documents(read_documents(source, max_line_bytes=longest))
            else:
                session.add_queries(read_queries(source, max_line_bytes=longest))  # type: ignore[arg-type]
        except DuplicateId as error:
            remedy = "Remove one of the two lines." if error.is_same_text else "Give each its own id."
            raise InputError(
                source_name(source, named_set.members_noun), error.line, str(error), remedy
            ) from error
        if is_path(source):
            check_unchanged(source, stamp)
        difference = session.compare() if is_trial else session.apply(digest)
        return Synced(name=name, difference=difference, num_members=session.num_read)


def _is_known(store: Store, named_set: NamedSet, name: str, digest: str, *, is_trial: bool) -> bool:
    if not is_trial:
        return note_same_source(store, named_set, name, digest)
    try:
        return find(store, named_set, name).source_digest == digest
    except UnknownName:
        return False


def check_name(noun: str, name: str) -> None:
    """Raises UsageError for what is no name of a collection, a query set or a schedule."""
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > MAX_NAME_CHARS:
        raise UsageError(
            f"A {noun} cannot be named {name[:40]!r}: use a word of {MAX_NAME_CHARS} letters or less."
        )

"""A sync: a collection or a query set becomes equal to a source. Knows no command line."""

from dataclasses import dataclass
from functools import partial

from rankmill.db.corpus.collections import NamedSet, find
from rankmill.db.corpus.sync import Difference, note_same_source, open_sync
from rankmill.db.errors import UnknownName
from rankmill.db.store.store import Store
from rankmill.producer.sources.source import Source, Staging, read_source
from rankmill.producer.submission.names import check_name

# A new number when the same file is read differently: then no file counts as seen before.
_READING_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a sync did, or a trial would do; `num_members` counts what is there afterwards."""

    name: str
    difference: Difference
    num_members: int


def sync(
    store: Store, named_set: NamedSet, name: str, source: Source[Staging], *, is_trial: bool = False
) -> Synced:
    """Makes the collection or query set equal to the source, in one visible step; a trial changes nothing.

    The file of the last sync is recognised by its content and not read again. Raises InputError, UsageError
    and the store's errors.
    """
    check_name(name, named_set.noun, partial(find, store, named_set))
    identity = source.identity(store)
    digest = None if identity is None else f"{_READING_VERSION}:{identity}"
    if digest is not None and _is_known(store, named_set, name, digest, is_trial=is_trial):
        num_members = find(store, named_set, name).num_members
        same = Difference(num_added=0, num_changed=0, num_unchanged=num_members, num_removed=0)
        return Synced(name=name, difference=same, num_members=num_members)
    with open_sync(store, named_set, name, is_trial=is_trial) as session:
        read_source(source, session)
        source.check_unchanged()
        difference = session.compare() if is_trial else session.apply(digest)
        return Synced(name=name, difference=difference, num_members=session.num_read)


def _is_known(store: Store, named_set: NamedSet, name: str, digest: str, *, is_trial: bool) -> bool:
    if not is_trial:
        return note_same_source(store, named_set, name, digest)
    try:
        return find(store, named_set, name).source_digest == digest
    except UnknownName:
        return False

"""The commands for collections and query sets, which are kept up to date under a name."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankmill.producer.command_line import options

if TYPE_CHECKING:
    from rankmill.db.corpus.collections import NamedSet, NamedSetRow

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]
CorpusFile = Annotated[
    Path,
    typer.Option(
        "--corpus", metavar="FILE", help="Documents: JSONL with id (or _id), text and optionally title."
    ),
]
QueriesFile = Annotated[
    Path,
    typer.Option("--queries", metavar="FILE", help="Queries: JSONL with id (or _id) and text, or TSV."),
]


def collection_sync(
    name: Name,
    corpus: CorpusFile,
    dry_run: DryRun = False,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """Make a collection equal to a file: add what is new and remove what is gone, in one step.

    Until then, readers see the collection as it was. Jobs recorded before keep their documents.

    Example: rankmill collection sync kb --corpus kb.jsonl --dry-run
    """
    _sync(_collections(), name, corpus, dry_run, store, json_)


def collection_list(store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """List the collections.

    Example: rankmill collection list
    """
    _list(_collections(), store, json_)


def collection_show(name: Name, store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """Show one collection: its size and when it was synced.

    Example: rankmill collection show kb
    """
    _show(_collections(), name, store, json_)


def collection_remove(name: Name, store: options.StoreUrl = None) -> None:
    """Remove a collection. Jobs made from it keep their documents, and scores stay.

    Example: rankmill collection remove kb
    """
    _remove(_collections(), name, store)


def queryset_sync(
    name: Name,
    queries: QueriesFile,
    dry_run: DryRun = False,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """Make a query set equal to a file, in one step.

    Example: rankmill queryset sync faq --queries faq.tsv
    """
    _sync(_query_sets(), name, queries, dry_run, store, json_)


def queryset_list(store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """List the query sets.

    Example: rankmill queryset list
    """
    _list(_query_sets(), store, json_)


def queryset_show(name: Name, store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """Show one query set: its size and when it was synced.

    Example: rankmill queryset show faq
    """
    _show(_query_sets(), name, store, json_)


def queryset_remove(name: Name, store: options.StoreUrl = None) -> None:
    """Remove a query set. Jobs made from it keep their queries, and scores stay.

    Example: rankmill queryset remove faq
    """
    _remove(_query_sets(), name, store)


COLLECTION: dict[str, Callable[..., None]] = {
    "sync": collection_sync,
    "list": collection_list,
    "show": collection_show,
    "remove": collection_remove,
}
QUERYSET: dict[str, Callable[..., None]] = {
    "sync": queryset_sync,
    "list": queryset_list,
    "show": queryset_show,
    "remove": queryset_remove,
}


def _collections() -> "NamedSet":
    from rankmill.db.corpus.collections import COLLECTIONS

    return COLLECTIONS


def _query_sets() -> "NamedSet":
    from rankmill.db.corpus.collections import QUERY_SETS

    return QUERY_SETS


def _sync(
    named_set: "NamedSet", name: str, file: Path, is_trial: bool, store: str | None, json_: bool
) -> None:
    from dataclasses import asdict

    from rankmill.db.corpus.collections import COLLECTIONS
    from rankmill.db.store.opening import open_store
    from rankmill.producer.command_line.output.opening import print_json, standard_error
    from rankmill.producer.command_line.output.progress import SlowStep
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.settings import settings_from
    from rankmill.producer.sources.kinds import document_rows, query_rows
    from rankmill.producer.submission.sync import sync

    settings = settings_from({"store": store})
    rows = document_rows if named_set is COLLECTIONS else query_rows
    with Interruption(), open_store(settings.store, create=not is_trial) as opened:
        reading = SlowStep(standard_error(), "reading the file")
        try:
            source = rows(file, settings.max_line_bytes)
            synced = sync(opened, named_set, name, source, is_trial=is_trial)
        finally:
            reading.done()
    if json_:
        print_json(
            {
                "name": name,
                named_set.count: synced.num_members,
                "dry_run": is_trial,
                **asdict(synced.difference),
            }
        )
        return
    found = synced.difference
    would = "would be " if is_trial else ""
    standard_error().print(
        f"{named_set.noun} {name}: {found.num_added:,} {would}added, {found.num_changed:,} {would}changed, "
        f"{found.num_removed:,} {would}removed, {found.num_unchanged:,} unchanged"
    )


def _list(named_set: "NamedSet", store: str | None, json_: bool) -> None:
    from rankmill.db.corpus.collections import list_named_sets
    from rankmill.producer.command_line.output.opening import opened_store, print_json, standard_output
    from rankmill.producer.command_line.output.tables import facts_table

    with opened_store(store) as opened:
        found = [_facts(named_set, row) for row in list_named_sets(opened, named_set)]
    if json_:
        print_json(found)
    elif found:
        standard_output().print(facts_table([_shown(facts) for facts in found]))
    else:
        command = named_set.noun.replace(" ", "")
        standard_output().print(f"no {named_set.noun} yet: rankmill {command} sync creates one")


def _show(named_set: "NamedSet", name: str, store: str | None, json_: bool) -> None:
    from rankmill.db.corpus.collections import find, num_bytes
    from rankmill.producer.command_line.output.opening import opened_store, print_json, standard_output
    from rankmill.producer.command_line.output.tables import facts_table

    with opened_store(store) as opened:
        facts = _facts(named_set, find(opened, named_set, name)) | {
            "num_bytes": num_bytes(opened, named_set, name)
        }
    if json_:
        print_json(facts)
    else:
        standard_output().print(facts_table([_shown(facts)]))


def _remove(named_set: "NamedSet", name: str, store: str | None) -> None:
    from rankmill.db.corpus.collections import remove
    from rankmill.producer.command_line.output.opening import opened_store, standard_error
    from rankmill.producer.command_line.output.wording import counted

    with opened_store(store) as opened:
        num_gone = remove(opened, named_set, name)
    many = "queries" if named_set.members_noun == "query" else None
    standard_error().print(
        f"{named_set.noun} {name} is removed; it held {counted(num_gone, named_set.members_noun, many)}"
    )


def _facts(named_set: "NamedSet", row: "NamedSetRow") -> dict[str, Any]:
    return {
        "name": row.name,
        named_set.count: row.num_members,
        "version": row.version,
        "created_at": row.created_at,
        "synced_at": row.synced_at,
    }


def _shown(facts: dict[str, Any]) -> dict[str, str]:
    from rankmill.producer.command_line.output.wording import local_time

    return {
        title.removeprefix("num_").removesuffix("_at"): (
            local_time(value) if title.endswith("_at") else f"{value:,}" if isinstance(value, int) else value
        )
        for title, value in facts.items()
    }

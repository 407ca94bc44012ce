"""The commands of what is kept up to date under a name: collection and queryset."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from producer.command_line import options

if TYPE_CHECKING:
    from db.kept import Kept, Kind

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]
CorpusFile = Annotated[
    Path,
    typer.Option("--corpus", metavar="FILE", help="Documents: JSONL with id (or _id), text and maybe title."),
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
    """Make a collection equal to a file: what is new is added, what is gone removed, in one step.

    Readers see the collection as it was until all of it is there. Jobs made before keep what they had.

    Example: rankmill collection sync kb --corpus kb.jsonl --dry-run
    """
    _sync(_collections(), name, corpus, dry_run, store, json_)


def collection_list(store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """List the collections.

    Example: rankmill collection list
    """
    _list(_collections(), store, json_)


def collection_show(name: Name, store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """Show one collection: how much is in it, and since when.

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
    """Show one query set: how much is in it, and since when.

    Example: rankmill queryset show faq
    """
    _show(_query_sets(), name, store, json_)


def queryset_remove(name: Name, store: options.StoreUrl = None) -> None:
    """Remove a query set. Jobs made from it keep their queries, and scores stay.

    Example: rankmill queryset remove faq
    """
    _remove(_query_sets(), name, store)


def prune(
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", min=0, metavar="DAYS", help="By default RANKMILL_KEEP_DAYS, 30."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without, only say what would be removed.")
    ] = False,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """Remove what is old and needed no more: jobs that ended, scores and texts that nothing points at.

    Never what a kept publication stands on, an active job, or anything in a collection or a query set.
    Workers and submissions may go on meanwhile.

    Example: rankmill prune --older-than 14 --yes
    """
    from dataclasses import asdict

    from db.pruning import prune as remove_old
    from producer.choices import settings_from
    from producer.command_line.follow import opened_store
    from producer.command_line.summary import print_json
    from producer.interruption import Interruption
    from producer.screen import counted, diagnostics

    days = settings_from({"store": store, "keep_days": older_than}).keep_days
    with Interruption(), opened_store(store) as opened:
        found = remove_old(opened, days * 86_400, is_trial=not yes)
    if json_:
        print_json({**asdict(found), "older_than_days": days, "dry_run": not yes})
        return
    console = diagnostics()
    console.print(
        f"older than {days:g} days: {counted(found.num_jobs, 'job')} with "
        f"{counted(found.num_pairs, 'pair')}, {counted(found.num_scores, 'score')}, "
        f"{counted(found.num_texts, 'text')} "
        f"{'removed' if yes else 'would be removed; do it with --yes'}"
    )
    if not found.is_whole:
        console.print("inputs are being read just now: texts are left for the next prune")


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


def _collections() -> "Kind":
    from db.kept import COLLECTIONS

    return COLLECTIONS


def _query_sets() -> "Kind":
    from db.kept import QUERY_SETS

    return QUERY_SETS


def _sync(kind: "Kind", name: str, source: Path, is_trial: bool, store: str | None, json_: bool) -> None:
    from dataclasses import asdict

    from db.store import open_store
    from producer.choices import settings_from
    from producer.command_line.summary import print_json
    from producer.interruption import Interruption
    from producer.screen import SlowStep, diagnostics
    from producer.syncs import sync

    settings = settings_from({"store": store})
    with Interruption(), open_store(settings.store, create=not is_trial) as opened:
        reading = SlowStep(diagnostics(), "reading the file")
        try:
            synced = sync(opened, kind, name, source, settings, is_trial=is_trial)
        finally:
            reading.done()
    if json_:
        print_json(
            {"name": name, kind.count: synced.num_members, "dry_run": is_trial, **asdict(synced.difference)}
        )
        return
    found = synced.difference
    would = "would be " if is_trial else ""
    diagnostics().print(
        f"{kind.noun} {name}: {found.num_added:,} {would}added, {found.num_changed:,} {would}changed, "
        f"{found.num_removed:,} {would}removed, {found.num_unchanged:,} unchanged"
    )


def _list(kind: "Kind", store: str | None, json_: bool) -> None:
    from db.kept import list_kept
    from producer.command_line.follow import opened_store
    from producer.command_line.summary import print_json
    from producer.command_line.tables import facts_table, standard_output

    with opened_store(store) as opened:
        found = [_facts(kind, row) for row in list_kept(opened, kind)]
    if json_:
        print_json(found)
    elif found:
        standard_output().print(facts_table([_shown(facts) for facts in found]))
    else:
        command = kind.noun.replace(" ", "")
        standard_output().print(f"no {kind.noun} yet: rankmill {command} sync makes one")


def _show(kind: "Kind", name: str, store: str | None, json_: bool) -> None:
    from db.kept import find, num_bytes
    from producer.command_line.follow import opened_store
    from producer.command_line.summary import print_json
    from producer.command_line.tables import facts_table, standard_output

    with opened_store(store) as opened:
        facts = _facts(kind, find(opened, kind, name)) | {"num_bytes": num_bytes(opened, kind, name)}
    if json_:
        print_json(facts)
    else:
        standard_output().print(facts_table([_shown(facts)]))


def _remove(kind: "Kind", name: str, store: str | None) -> None:
    from db.kept import remove
    from producer.command_line.follow import opened_store
    from producer.screen import counted, diagnostics

    with opened_store(store) as opened:
        num_gone = remove(opened, kind, name)
    many = "queries" if kind.members_noun == "query" else None
    diagnostics().print(
        f"{kind.noun} {name} is removed; it held {counted(num_gone, kind.members_noun, many)}"
    )


def _facts(kind: "Kind", row: "Kept") -> dict[str, Any]:
    return {
        "name": row.name,
        kind.count: row.num_members,
        "version": row.version,
        "created_at": row.created_at,
        "synced_at": row.synced_at,
    }


def _shown(facts: dict[str, Any]) -> dict[str, str]:
    from producer.screen import local_time

    return {
        title.removeprefix("num_").removesuffix("_at"): (
            local_time(value) if title.endswith("_at") else f"{value:,}" if isinstance(value, int) else value
        )
        for title, value in facts.items()
    }

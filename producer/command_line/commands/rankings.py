"""The commands of whoever reads rankings downstream: rankings, rollback, changes and deliver."""

from typing import Annotated

import typer

from rankmill.producer.command_line import options
from rankmill.producer.command_line.output.opening import opened_store
from rankmill.producer.downstream.change_formats import ChangeFormat

Follow = Annotated[bool, typer.Option("--follow", help="Wait for more, until stopped.")]
Index = Annotated[
    str | None, typer.Option("--index", metavar="NAME", help="OpenSearch: the index; the ranking's name.")
]
Namespace = Annotated[str, typer.Option("--namespace", metavar="NAME", help="Vespa: the namespace.")]
DocumentType = Annotated[
    str, typer.Option("--document-type", metavar="NAME", help="Vespa: the document type.")
]


def rankings(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One ranking, with what it keeps; all by default.")
    ] = None,
    score_tolerance: Annotated[
        float | None,
        typer.Option("--score-tolerance", min=0, max=1, help="Tell no smaller change of a score."),
    ] = None,
    rank_tolerance: Annotated[
        int | None, typer.Option("--rank-tolerance", min=0, help="Tell no smaller change of a rank.")
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the ranking, its feed and deliveries; jobs stay.")
    ] = False,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """List rankings; of one, the publications it keeps and where its deliveries stand.

    With a tolerance, set from which difference on its feed tells a change.

    Example: rankmill rankings kb
    """
    from rankmill.producer.command_line.output.rankings import show_all, show_one
    from rankmill.producer.errors import UsageError

    if name is None and (score_tolerance is not None or rank_tolerance is not None or remove):
        raise UsageError("Name the ranking that is meant.")
    with opened_store(store) as opened:
        if name is None:
            show_all(opened, as_json=json_)
            return
        from rankmill.db.rankings import catalog as stored
        from rankmill.db.rankings.catalog import find, set_tolerances
        from rankmill.producer.command_line.output.progress import diagnostics

        if remove:
            stored.remove(opened, find(opened, name).ranking_id)
            diagnostics().print(f"ranking {name} is removed; its jobs and their scores are still here")
            return
        set_tolerances(opened, find(opened, name).ranking_id, score=score_tolerance, rank=rank_tolerance)
        show_one(opened, find(opened, name), as_json=json_)


def rollback(
    name: options.Ranking,
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="PUBLICATION", help="Which one; by default the one before."),
    ] = None,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """Bring an older publication of a ranking back; its feed tells the difference.

    It becomes a publication of its own. Again, it goes back one more. The next job is published as ever.

    Example: rankmill rollback kb
    """
    from rankmill.db.rankings.publish import roll_back
    from rankmill.producer.command_line.output.opening import print_json
    from rankmill.producer.command_line.output.progress import diagnostics
    from rankmill.producer.command_line.output.rankings import publication_facts

    with opened_store(store) as opened:
        made = roll_back(opened, name, to)
    if json_:
        print_json(publication_facts(made))
        return
    diagnostics().print(
        f"ranking {name}: publication {made.publication_id} brings back {made.restored_id} (job "
        f"{made.job_id}): {made.num_added:,} added, {made.num_changed:,} changed, {made.num_removed:,} "
        f"removed; the feed's cursor is {made.last_cursor}"
    )


def changes(
    name: options.Ranking,
    after: Annotated[
        int, typer.Option("--after", min=0, metavar="CURSOR", help="Only what changed past this cursor.")
    ] = 0,
    format_: Annotated[
        ChangeFormat | None,
        typer.Option("--format", help="jsonl by default, or as the output's ending says."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE|-", help="Where to; - is standard output.")
    ] = "-",
    follow: Follow = False,
    index: Index = None,
    namespace: Namespace = "rankmill",
    document_type: DocumentType = "ranking",
    store: options.StoreUrl = None,
) -> None:
    """Write what changed in a ranking past a cursor: every pair once, as it changed last.

    From cursor 0 it is the whole ranking, and what was ever removed from it. The last cursor comes on
    standard error: ask from there the next time.

    Example: rankmill changes kb --after 15000 --format opensearch | curl --data-binary @- …
    """
    from rankmill.db.rankings.catalog import find
    from rankmill.producer.command_line.output.progress import diagnostics
    from rankmill.producer.downstream.change_files import plan, write_changes
    from rankmill.producer.downstream.change_formats import Target
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.results.overwrite_guard import check_spares
    from rankmill.producer.settings import settings_from

    planned, chosen = plan(output, format_, follow=follow)
    check_spares(planned, settings_from({"store": store}).store)
    target = Target(index=index or name, namespace=namespace, document_type=document_type)
    with Interruption(), opened_store(store) as opened:
        ranking = find(opened, name)
        last = write_changes(opened, ranking, planned, chosen, target, after=after, follow=follow)
    diagnostics().print(f"cursor: {last}")


def deliver(
    name: options.Ranking,
    to: Annotated[
        str,
        typer.Option("--to", metavar="opensearch|vespa|URL|FOLDER", help="Who receives the changes."),
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="URL", help="Where OpenSearch or Vespa is. Also RANKMILL_RECEIVER."),
    ] = None,
    index: Index = None,
    namespace: Namespace = "rankmill",
    document_type: DocumentType = "ranking",
    follow: Follow = False,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Send all again, as to a receiver that lost everything.")
    ] = False,
    patience: Annotated[
        float,
        typer.Option("--patience", min=0, metavar="SECONDS", help="How long a receiver may take nothing."),
    ] = 300,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """Send a ranking's changes to a receiver, from where it got to the last time.

    The store remembers what the receiver accepted; what it refused is kept with the reason and tried again
    the next time. Exit code 7 when it still refuses some. A password comes from RANKMILL_RECEIVER_AUTH.

    Example: rankmill deliver kb --to opensearch --at https://search:9200 --index kb-ranking
    """
    from rankmill.db.rankings.catalog import find
    from rankmill.producer.command_line.output import deliveries
    from rankmill.producer.downstream.change_formats import Target
    from rankmill.producer.downstream.receiver_kinds import receiver_from
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.settings import settings_from

    settings = settings_from({"store": store, "receiver": at})
    target = Target(index=index, namespace=namespace, document_type=document_type)
    with Interruption(), opened_store(store) as opened:
        ranking = find(opened, name)
        receiver = receiver_from(to, settings, ranking.name, target)
        if dry_run:
            deliveries.print_plan(opened, ranking, receiver, from_start=from_start, as_json=json_)
            return
        code = deliveries.deliver(
            opened,
            ranking,
            receiver,
            from_start=from_start,
            follow=follow,
            patience_s=float("inf") if follow else patience,
            as_json=json_,
        )
    raise typer.Exit(code)

"""The commands for published rankings: rankings, rollback, changes and deliver."""

from typing import Annotated

import typer

from rankmill.producer.command_line import options
from rankmill.producer.command_line.output.opening import opened_store
from rankmill.producer.downstream.change_formats import ChangeFormat

Follow = Annotated[bool, typer.Option("--follow", help="Wait for more changes until stopped.")]
Index = Annotated[
    str | None,
    typer.Option("--index", metavar="NAME", help="OpenSearch: the index; by default the ranking's name."),
]
Namespace = Annotated[str, typer.Option("--namespace", metavar="NAME", help="Vespa: the namespace.")]
DocumentType = Annotated[
    str, typer.Option("--document-type", metavar="NAME", help="Vespa: the document type.")
]


def rankings(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The name of a ranking; all by default.")
    ] = None,
    score_tolerance: Annotated[
        float | None,
        typer.Option("--score-tolerance", min=0, max=1, help="Ignore changes of a score up to this."),
    ] = None,
    rank_tolerance: Annotated[
        int | None, typer.Option("--rank-tolerance", min=0, help="Ignore changes of a rank up to this.")
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the ranking, its feed and deliveries; jobs stay.")
    ] = False,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """List rankings; for one, show the publications it keeps and its deliveries.

    A tolerance is stored with the ranking: its feed leaves out smaller changes from then on.

    Example: rankmill rankings kb
    """
    from rankmill.producer.command_line.output.rankings import print_ranking, print_rankings
    from rankmill.producer.errors import UsageError

    if name is None and (score_tolerance is not None or rank_tolerance is not None or remove):
        raise UsageError("Name the ranking that is meant.")
    with opened_store(store) as opened:
        if name is None:
            print_rankings(opened, as_json=json_)
            return
        from rankmill.db.rankings import catalog as stored
        from rankmill.db.rankings.catalog import find, set_tolerances
        from rankmill.producer.command_line.output.opening import standard_error

        if remove:
            stored.remove(opened, find(opened, name).ranking_id)
            standard_error().print(f"ranking {name} is removed; its jobs and their scores are still here")
            return
        set_tolerances(opened, find(opened, name).ranking_id, score=score_tolerance, rank=rank_tolerance)
        print_ranking(opened, find(opened, name), as_json=json_)


def rollback(
    name: options.Ranking,
    to: Annotated[
        int | None,
        typer.Option(
            "--to",
            metavar="PUBLICATION",
            help="The publication to restore; by default the one before the current.",
        ),
    ] = None,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """Restore an older publication of a ranking; its feed shows the difference.

    The restored state is a new publication. Another rollback goes back one more. The next job is published as
    usual.

    Example: rankmill rollback kb
    """
    from rankmill.db.rankings.publish import roll_back
    from rankmill.producer.command_line.output.opening import print_json, standard_error
    from rankmill.producer.command_line.output.rankings import publication_facts

    with opened_store(store) as opened:
        made = roll_back(opened, name, to)
    if json_:
        print_json(publication_facts(made))
        return
    standard_error().print(
        f"ranking {name}: publication {made.publication_id} restores {made.restored_id} (job "
        f"{made.job_id}): {made.num_added:,} added, {made.num_changed:,} changed, {made.num_removed:,} "
        f"removed; the feed's cursor is {made.last_cursor}"
    )


def changes(
    name: options.Ranking,
    after: Annotated[
        int, typer.Option("--after", min=0, metavar="CURSOR", help="Only changes after this cursor.")
    ] = 0,
    format_: Annotated[
        ChangeFormat | None,
        typer.Option("--format", help="jsonl by default, or what the extension of --output says."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE|-", help="The file to write; - is standard output.")
    ] = "-",
    follow: Follow = False,
    index: Index = None,
    namespace: Namespace = "rankmill",
    document_type: DocumentType = "ranking",
    store: options.StoreUrl = None,
) -> None:
    """Write what changed in a ranking after a cursor: each changed pair once, in its latest state.

    From cursor 0 that is the whole ranking, and all that was ever removed from it. The last cursor is printed
    on standard error: give it to --after the next time.

    Example: rankmill changes kb --after 15000 --format opensearch | curl --data-binary @- …
    """
    from rankmill.db.rankings.catalog import find
    from rankmill.producer.command_line.output.opening import standard_error
    from rankmill.producer.downstream.change_files import plan_changes, write_changes
    from rankmill.producer.downstream.change_formats import Target
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.results.overwrite_guard import check_no_overwrite
    from rankmill.producer.settings import settings_from

    planned, chosen = plan_changes(output, format_, follow=follow)
    check_no_overwrite(planned, settings_from({"store": store}).store)
    target = Target(index=index or name, namespace=namespace, document_type=document_type)
    with Interruption(), opened_store(store) as opened:
        ranking = find(opened, name)
        last = write_changes(opened, ranking, planned, chosen, target, after=after, follow=follow)
    standard_error().print(f"cursor: {last}")


def deliver(
    name: options.Ranking,
    to: Annotated[
        str,
        typer.Option("--to", metavar="opensearch|vespa|URL|FOLDER", help="The receiver of the changes."),
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="URL", help="The URL of OpenSearch or Vespa. Also RANKMILL_RECEIVER."),
    ] = None,
    index: Index = None,
    namespace: Namespace = "rankmill",
    document_type: DocumentType = "ranking",
    follow: Follow = False,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Send everything again, for a receiver that lost its data.")
    ] = False,
    patience: Annotated[
        float,
        typer.Option(
            "--patience",
            min=0,
            metavar="SECONDS",
            help="Give up when the receiver accepts nothing for this long.",
        ),
    ] = 300,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """Send a ranking's changes to a receiver, from where the last delivery ended.

    The store remembers what the receiver accepted. What it refused is kept with the reason and sent again the
    next time; the exit code is 7 while some are refused. The password comes from RANKMILL_RECEIVER_AUTH.

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

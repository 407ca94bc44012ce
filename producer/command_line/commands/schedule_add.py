"""The command schedule add: when a ranking is made anew, and from what."""

import os
from typing import Annotated

import typer

from rankmill.producer.command_line import options
from rankmill.producer.command_line.option_groups import (
    NotificationOptions,
    PairOptions,
    PublishOptions,
    ScorerOptions,
    grouped,
)

WHEN = "When"
Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name, and its ranking's.")]
Cron = Annotated[
    str,
    typer.Option("--cron", rich_help_panel=WHEN, help='Minute, hour, day, month, weekday: "0 2 * * *".'),
]
Zone = Annotated[
    str,
    typer.Option("--timezone", metavar="ZONE", rich_help_panel=WHEN, help="Such as Europe/Berlin."),
]
CatchUpChoice = Annotated[
    str,
    typer.Option(
        "--catch-up",
        metavar="once|skip",
        rich_help_panel=WHEN,
        help="Nights missed while nothing ran: make up for the last of them, or leave them out.",
    ),
]
OverlapChoice = Annotated[
    str,
    typer.Option(
        "--overlap",
        metavar="wait|skip",
        rich_help_panel=WHEN,
        help="A night that finds the job of an earlier one at work: wait for its end, or leave it out.",
    ),
]
CollectionName = Annotated[
    str, typer.Option("--collection", metavar="NAME", rich_help_panel=options.INPUTS, help="Its documents.")
]
QuerySetName = Annotated[
    str, typer.Option("--query-set", metavar="NAME", rich_help_panel=options.INPUTS, help="Its queries.")
]


@grouped
def schedule_add(
    *,
    name: Name,
    cron: Cron,
    collection: CollectionName,
    query_set: QuerySetName,
    timezone: Zone = "UTC",
    catch_up: CatchUpChoice = "once",
    overlap: OverlapChoice = "wait",
    pairs: PairOptions,
    priority: options.PriorityChoice = None,
    scorer: ScorerOptions,
    top_k: options.TopK = None,
    min_score: options.MinScore = None,
    publish_policy: options.PolicyChoice = None,
    keep_publications: options.KeepPublications = None,
    notify: NotificationOptions,
    store: options.StoreUrl = None,
) -> None:
    """Have a ranking made anew every night, from a collection and a query set as they are then.

    Its job and its ranking have the schedule's name. A run file of candidates is read at night, by the
    machine whose beat submits the job.

    Example: rankmill schedule add kb --cron "0 2 * * *" --timezone Europe/Berlin --collection kb
    --query-set faq --candidates /data/bm25.trec --model BAAI/bge-reranker-v2-m3
    """
    from rankmill.db.records.jobs import Priority
    from rankmill.db.schedules.catalog import ScheduleRequest, add
    from rankmill.producer.command_line.output.opening import opened_store
    from rankmill.producer.command_line.output.progress import diagnostics
    from rankmill.producer.downstream.follow_up import check_notification
    from rankmill.producer.schedules.cron import check_schedule, next_fire, wall_clock
    from rankmill.producer.schedules.request import policies, scorer_of
    from rankmill.producer.submission.names import check_name

    settings = scorer.settings(store=store)
    check_name(name, "schedule")
    check_schedule(cron, timezone)
    pairs.check()
    is_made_up, waits = policies(catch_up, overlap)
    notification = notify.request()
    check_notification(notification, settings)
    publishing = PublishOptions(name, publish_policy, keep_publications).publishing()
    assert publishing is not None
    run_file = pairs.candidates
    asked = ScheduleRequest(
        name=name,
        cron=cron,
        zone=timezone,
        collection=collection,
        query_set=query_set,
        candidates=None if run_file is None else os.fspath(run_file.absolute()),
        scorer=scorer_of(settings),
        catch_up=is_made_up,
        overlap=waits,
        priority=priority or Priority.NORMAL,
        top_k=top_k,
        min_score=min_score,
        publishing=publishing,
        notification=notification,
    )
    with opened_store(store) as opened:
        next_at = next_fire(cron, timezone, opened.now())
        add(opened, asked, next_at)
    console = diagnostics()
    console.print(f"schedule {name} fires next at {wall_clock(next_at, timezone)} {timezone}")
    if run_file is not None and not run_file.exists():
        console.print(f"warning: {run_file} is not there yet; it is read at night")

"""The command schedule add: when a ranking is made, and from what."""

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
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The name of the schedule, its jobs and its ranking.")
]
Cron = Annotated[
    str,
    typer.Option("--cron", rich_help_panel=WHEN, help='Minute, hour, day, month, weekday: "0 2 * * *".'),
]
Zone = Annotated[
    str,
    typer.Option(
        "--timezone", metavar="ZONE", rich_help_panel=WHEN, help="The time zone, such as Europe/Berlin."
    ),
]
CatchUpChoice = Annotated[
    str,
    typer.Option(
        "--catch-up",
        metavar="once|skip",
        rich_help_panel=WHEN,
        help="Runs missed while no beat ran: run the last of them once, or skip them.",
    ),
]
OverlapChoice = Annotated[
    str,
    typer.Option(
        "--overlap",
        metavar="wait|skip",
        rich_help_panel=WHEN,
        help="A run that is due while the job of an earlier one is active: wait for its end, or skip the "
        "run.",
    ),
]
CollectionName = Annotated[
    str, typer.Option("--collection", metavar="NAME", rich_help_panel=options.INPUTS, help="The documents.")
]
QuerySetName = Annotated[
    str, typer.Option("--query-set", metavar="NAME", rich_help_panel=options.INPUTS, help="The queries.")
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
    """Make a ranking at set times from a collection and a query set, as they are at that time.

    Each run is a job with the schedule's name, published in the ranking of that name. A file of candidates is
    read at each run, on the machine of the beat.

    Example: rankmill schedule add kb --cron "0 2 * * *" --timezone Europe/Berlin --collection kb
    --query-set faq --candidates /data/bm25.trec --model BAAI/bge-reranker-v2-m3
    """
    from rankmill.db.records.jobs import Priority
    from rankmill.db.schedules.catalog import ScheduleRequest, add
    from rankmill.producer.command_line.output.opening import opened_store, standard_error
    from rankmill.producer.downstream.follow_up import check_notification
    from rankmill.producer.schedules.cron import check_schedule, next_fire, wall_clock
    from rankmill.producer.schedules.request import policies, scorer_of
    from rankmill.producer.submission.names import check_name

    settings = scorer.settings(store=store)
    check_name(name, "schedule")
    check_schedule(cron, timezone)
    pairs.check()
    catch_up_policy, overlap_policy = policies(catch_up, overlap)
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
        catch_up=catch_up_policy,
        overlap=overlap_policy,
        priority=priority or Priority.NORMAL,
        top_k=top_k,
        min_score=min_score,
        publishing=publishing,
        notification=notification,
    )
    with opened_store(store) as opened:
        next_at = next_fire(cron, timezone, opened.now())
        add(opened, asked, next_at)
    console = standard_error()
    console.print(f"schedule {name} fires next at {wall_clock(next_at, timezone)} {timezone}")
    if run_file is not None and not run_file.exists():
        console.print(f"warning: {run_file} does not exist yet; it is read at each run")

"""What became of a job's end, in words: published or not, told or not. And what is still tried again."""

from collections.abc import Mapping
from typing import Any

from rankmill.db.jobs.progress import Untried
from rankmill.db.rankings.notifications import NotificationRow, job_summary, notifications_of
from rankmill.db.runtime.http_client import WrongUrl, place_of
from rankmill.db.store.store import Store
from rankmill.producer.command_line.output.excerpts import printable
from rankmill.producer.command_line.output.progress import diagnostics
from rankmill.producer.command_line.output.wording import counted
from rankmill.producer.downstream.follow_up import FollowUpResult


def say_settled(followed_up: FollowUpResult) -> None:
    """Says what was published of an ended job, or why not, and what could not be told."""
    for entry in followed_up.rankings:
        diagnostics().print(settled_line(entry))
    for problem in followed_up.problems:
        diagnostics().print(f"warning: {problem}")


def afterwards_lines(store: Store, job_id: int) -> list[str]:
    """The same of any job, at any time."""
    rankings = map(settled_line, job_summary(store, job_id)["rankings"])
    return [*rankings, *map(notification_line, notifications_of(store, [job_id]))]


def afterwards_facts(store: Store, job_id: int) -> dict[str, Any]:
    """The same for programs."""
    told = [row._asdict() | {"address": shown_address(row)} for row in notifications_of(store, [job_id])]
    return {"rankings": job_summary(store, job_id)["rankings"], "notices": told}


def untried_line(untried: Untried) -> str:
    """Shards of a job that has not ended, and why they wait."""
    shards = counted(untried.num_shards, "shard")
    return printable(f"{shards} went wrong before and will be tried again: {untried.reason}")


def notification_line(row: NotificationRow) -> str:
    """Where one notification stands."""
    reason = f", {row.reason}" if row.reason else ""
    return printable(f"{row.kind} {shown_address(row)}: {row.state}{reason}")


def shown_address(row: NotificationRow) -> str:
    """Whom it is for, without the query of a URL, which may hold a key."""
    if row.kind != "webhook":
        return row.address
    try:
        return place_of(row.address).shown()
    except WrongUrl:
        return "an unusable URL"


def settled_line(entry: Mapping[str, Any]) -> str:
    """What became of a job in one ranking."""
    if entry["publication_id"] is None:
        reason = entry["not_published"]
        return f"ranking {entry['ranking']}: " + (
            f"not published: {reason}" if reason else "not published yet"
        )
    line = f"ranking {entry['ranking']}: publication {entry['publication_id']}"
    if entry["num_added"] is None:
        return f"{line}, no longer kept"
    return (
        f"{line}: {entry['num_added']:,} added, {entry['num_changed']:,} changed, "
        f"{entry['num_removed']:,} removed; the feed's cursor is {entry['last_cursor']}"
    )

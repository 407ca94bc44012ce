"""What followed the end of a job: where it was published and who was notified. And what is tried again."""

from collections.abc import Mapping
from typing import Any

from rankmill.db.jobs.progress import Untried
from rankmill.db.rankings.notifications import NotificationRow, job_summary, notifications_of
from rankmill.db.runtime.http_client import WrongUrl, place_of
from rankmill.db.store.store import Store
from rankmill.producer.command_line.output.excerpts import printable
from rankmill.producer.command_line.output.opening import standard_error
from rankmill.producer.command_line.output.wording import counted
from rankmill.producer.downstream.follow_up import FollowUpResult


def print_follow_up(followed_up: FollowUpResult) -> None:
    """Prints where an ended job was published, or why not, and which notifications failed."""
    for entry in followed_up.rankings:
        standard_error().print(ranking_line(entry))
    for problem in followed_up.problems:
        standard_error().print(f"warning: {problem}")


def follow_up_lines(store: Store, job_id: int) -> list[str]:
    """The same for any job, from the store."""
    rankings = map(ranking_line, job_summary(store, job_id)["rankings"])
    return [*rankings, *map(notification_line, notifications_of(store, [job_id]))]


def follow_up_facts(store: Store, job_id: int) -> dict[str, Any]:
    """The same for programs."""
    notices = [row._asdict() | {"address": shown_address(row)} for row in notifications_of(store, [job_id])]
    return {"rankings": job_summary(store, job_id)["rankings"], "notices": notices}


def untried_line(untried: Untried) -> str:
    """Shards of a job that has not ended, and why they wait."""
    shards = counted(untried.num_shards, "shard")
    return printable(f"{shards} went wrong before and will be tried again: {untried.reason}")


def notification_line(row: NotificationRow) -> str:
    """The state of one notification."""
    reason = f", {row.reason}" if row.reason else ""
    return printable(f"{row.kind} {shown_address(row)}: {row.state}{reason}")


def shown_address(row: NotificationRow) -> str:
    """Who is notified, without the query of a URL, which may hold a key."""
    if row.kind != "webhook":
        return row.address
    try:
        return place_of(row.address).shown()
    except WrongUrl:
        return "an unusable URL"


def ranking_line(entry: Mapping[str, Any]) -> str:
    """The result of a job in one ranking."""
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

"""Writes the changes of a ranking to a file that appears whole, or to standard output as they come.

Knows the store's feed and where output goes; `change_formats` knows what a line looks like.
"""

import time
from pathlib import Path

from rankmill.db.rankings.feed import changes
from rankmill.db.records.rankings import RankingRow
from rankmill.db.store.store import Store
from rankmill.producer.downstream.change_formats import (
    ChangeFormat,
    Target,
    encoder,
    write_lines,
    write_parquet,
)
from rankmill.producer.errors import UsageError
from rankmill.producer.results.files import STANDARD_OUTPUT, Output, opened_output, plan_output
from rankmill.producer.results.formats import ResultFormat

LOOK_EVERY_S = 2.0


def plan(output: str, format_: ChangeFormat | None, *, follow: bool) -> tuple[Output, ChangeFormat]:
    """Where the changes go and in which format. Raises UsageError or MissingPrerequisite."""
    is_parquet = format_ is ChangeFormat.PARQUET
    if format_ is None:
        extensions = Path(output).suffixes
        is_parquet = output != STANDARD_OUTPUT and extensions[-1:] in ([".parquet"], [".pq"])
        format_ = ChangeFormat.PARQUET if is_parquet else ChangeFormat.JSONL
    if follow and (is_parquet or output != STANDARD_OUTPUT):
        raise UsageError("--follow writes lines to standard output: leave out --output and Parquet.")
    lines = ResultFormat.PARQUET if is_parquet else ResultFormat.JSONL
    return plan_output(output, lines), format_


def write_changes(
    store: Store,
    ranking: RankingRow,
    output: Output,
    format_: ChangeFormat,
    target: Target,
    *,
    after: int,
    follow: bool,
) -> int:
    """Writes what changed after the cursor `after`; returns the last cursor written, or `after`.

    Raises UsageError for a cursor beyond the end of the feed: changes up to it would be skipped later.
    """
    if after > ranking.last_cursor:
        raise UsageError(
            f"--after {after} is beyond the end of this feed, which is {ranking.last_cursor}. If the store "
            "was restored or created again, start from 0 with an empty receiver."
        )
    cursor = after
    with opened_output(output) as stream:
        if format_ is ChangeFormat.PARQUET:
            return write_parquet(changes(store, ranking.ranking_id, after=cursor), stream) or cursor
        encode = encoder(format_, target)
        while True:
            cursor = write_lines(changes(store, ranking.ranking_id, after=cursor), stream, encode) or cursor
            stream.flush()
            if not follow:
                return cursor
            time.sleep(LOOK_EVERY_S)

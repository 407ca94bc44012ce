"""What rankings shows: rankings, the publications one keeps, and where its deliveries stand."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rankmill.db.rankings.catalog import list_rankings, publications_of
from rankmill.db.rankings.deliveries import deliveries_of, refusals
from rankmill.db.records.rankings import Publication, RankingRow
from rankmill.db.store.store import Store
from rankmill.producer.command_line.output.excerpts import printable
from rankmill.producer.command_line.output.opening import print_json

_NONE_YET = "no rankings yet: rankmill run --publish NAME or rankmill submit --publish NAME makes one"


def show_all(store: Store, *, as_json: bool) -> None:
    """Every ranking, with what stands in it."""
    rows = [(row, next(iter(publications_of(store, row.ranking_id)), None)) for row in list_rankings(store)]
    if as_json:
        print_json([ranking_facts(row, [] if made is None else [made]) for row, made in rows])
        return
    table = _table(("ranking", "publication", "job", "since"), ("pairs", "cursor"))
    for row, made in rows:
        name = Text(printable(row.name))
        if made is None:
            table.add_row(name, "none yet", "", "", "", str(row.last_cursor))
        else:
            facts = (str(made.publication_id), str(made.job_id), when(made.published_at))
            table.add_row(name, *facts, f"{made.num_pairs:,}", str(row.last_cursor))
    _print(table if rows else _NONE_YET)


def show_one(store: Store, ranking: RankingRow, *, as_json: bool) -> None:
    """One ranking: what it keeps, newest first, and its receivers."""
    made, receivers = publications_of(store, ranking.ranking_id), deliveries_of(store, ranking.ranking_id)
    if as_json:
        told = [
            row._asdict() | {"refusals": [refused._asdict() for refused in refusals(store, row)]}
            for row in receivers
        ]
        print_json(ranking_facts(ranking, made) | {"deliveries": told})
        return
    table = _table(
        ("publication", "job", "published", "brings back"), ("pairs", "added", "changed", "removed")
    )
    for one in made:
        table.add_row(
            str(one.publication_id),
            str(one.job_id),
            when(one.published_at),
            "" if one.restored_id is None else str(one.restored_id),
            f"{one.num_pairs:,}",
            f"{one.num_added:,}",
            f"{one.num_changed:,}",
            f"{one.num_removed:,}",
        )
    _print(table if made else "nothing was published under it yet")
    _print(
        f"cursor {ranking.last_cursor}; keeps {ranking.keep}; tells a change of score beyond "
        f"{ranking.score_tolerance:g} and of rank beyond {ranking.rank_tolerance}"
    )
    for row in receivers:
        _print(f"{printable(row.receiver)}: up to cursor {row.cursor}, {row.num_refused:,} refused")
        for refused in refusals(store, row, limit=3):
            _print(f"  cursor {refused.cursor}, {refused.num_tries} times: {printable(refused.reason)}")


def ranking_facts(row: RankingRow, made: "list[Publication] | Any") -> dict[str, Any]:
    return asdict(row) | {"publications": [publication_facts(one) for one in made]}


def publication_facts(made: Publication) -> dict[str, Any]:
    return asdict(made)


def when(seconds: float) -> str:
    """A time for people, by this machine's zone."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M}"


def _table(left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for number, title in enumerate(left):
        table.add_column(title, overflow="fold", no_wrap=number > 0)
    for title in right:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _print(shown: Table | str) -> None:
    Console(highlight=False, emoji=False, markup=False, soft_wrap=isinstance(shown, str)).print(shown)

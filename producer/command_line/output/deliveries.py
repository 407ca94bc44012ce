"""What `rankmill deliver` prints: what it would send, or what was accepted and refused."""

from dataclasses import asdict

from rankmill.db.errors import ReceiverTaken
from rankmill.db.rankings import deliveries
from rankmill.db.rankings.feed import num_changes
from rankmill.db.records.rankings import RankingRow
from rankmill.db.store.store import Store
from rankmill.producer.command_line.exit_codes import DONE, SOME_FAILED
from rankmill.producer.command_line.output.excerpts import printable
from rankmill.producer.command_line.output.opening import print_json
from rankmill.producer.command_line.output.progress import diagnostics
from rankmill.producer.command_line.output.wording import counted
from rankmill.producer.downstream.deliver import Deliverer
from rankmill.producer.downstream.receiver import Receiver


def print_plan(
    store: Store, ranking: RankingRow, receiver: Receiver, *, from_start: bool, as_json: bool
) -> None:
    """Prints what would be sent, and sends nothing."""
    found = deliveries.find(store, receiver.name)
    if found is not None and found.ranking != ranking.name:
        raise ReceiverTaken(receiver.name, found.ranking)
    cursor = 0 if found is None or from_start else found.cursor
    num_refused = 0 if found is None or from_start else found.num_refused
    num_new = num_changes(store, ranking.ranking_id, after=cursor)
    if as_json:
        print_json(
            {"receiver": receiver.name, "cursor": cursor, "num_new": num_new, "num_refused": num_refused}
        )
        return
    diagnostics().print(
        f"{printable(receiver.name)}: would send {counted(num_new, 'change')} after cursor {cursor} and try "
        f"{num_refused:,} again that it refused"
    )


def deliver(
    store: Store,
    ranking: RankingRow,
    receiver: Receiver,
    *,
    from_start: bool,
    follow: bool,
    patience_s: float,
    as_json: bool,
) -> int:
    """Sends the changes, prints the result, and returns the exit code."""
    console = diagnostics()
    deliverer = Deliverer(store, ranking, receiver, patience_s=patience_s, note=console.print)
    try:
        if from_start:
            deliverer.restart()
        if follow:
            deliverer.follow()
        result = deliverer.catch_up()
    finally:
        receiver.close()
    if as_json:
        print_json({"receiver": receiver.name, **asdict(result), "num_newer": receiver.num_newer})
    console.print(
        f"{printable(receiver.name)}: {counted(result.num_accepted, 'change')} accepted, "
        f"{result.num_refused:,} refused, up to cursor {result.cursor}"
    )
    if receiver.num_newer:
        console.print(
            f"{receiver.num_newer:,} were there already, the same or newer, and were not changed. If the "
            "receiver was filled from another store, give it an empty index."
        )
    if result.num_refused:
        console.print(f"the reasons: rankmill rankings {printable(ranking.name)}")
    return SOME_FAILED if result.num_refused else DONE

"""What a worker computed and waited for: counted once, added up, told in words, seen in the store."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from rankmill.db.queue.workers import register, workers
from rankmill.db.records.pairs import PairResults
from rankmill.db.records.telemetry import Telemetry, from_json, to_json
from rankmill.db.store.store import Store
from rankmill.worker.drain.timing import DrainTiming
from rankmill.worker.scorer.protocol import Prepared
from tests.support.jobs.drains import desk
from tests.support.jobs.scorers import HookedScorer
from tests.support.jobs.small_jobs import submit
from tests.support.processes.rankmill_command import in_process
from tests.support.waiting import wait_until

NIGHT = Telemetry(
    num_batches=199,
    num_tokens=812_344,
    num_computed_tokens=828_922,
    cost=741_000,
    budget=815_104,
    device_s=9.6,
    tokens_s=0.2,
    store_s=0.2,
)
ONE = Telemetry(num_batches=1, num_tokens=90, num_computed_tokens=100, cost=95, budget=950)


class Counting(HookedScorer):
    """Says that every group was one batch."""

    def __init__(self) -> None:
        super().__init__(claim_tokens=1)
        self.counts = Telemetry()

    def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[PairResults]:
        self.counts += ONE
        return super().score(prepared, should_stop)

    def take_counts(self) -> Telemetry:
        taken, self.counts = self.counts, Telemetry()
        return taken


class Clock:
    """Shows these times, one after the other."""

    def __init__(self, times: Sequence[float]) -> None:
        self.times = iter(times)

    def __call__(self) -> float:
        return next(self.times)


def test_it_reads_as_one_line_and_says_nothing_of_batches_where_there_are_none() -> None:
    waits = "9.6 s for the device, 0.2 s for tokens, 0.2 s for the store"
    assert NIGHT.words() == f"199 batches, fill 98%, load 91%; {waits}"
    assert ONE.words().startswith("1 batch, fill 90%, load 10%; ")
    assert replace(Telemetry(), device_s=9.6, tokens_s=0.2, store_s=0.2).words() == waits


def test_two_spans_of_time_add_up_and_rates_are_of_the_sum() -> None:
    both = NIGHT + ONE
    assert (both.num_batches, both.num_tokens) == (200, 812_434)
    assert both.seconds == pytest.approx(10.0)
    assert both.tokens_per_s == pytest.approx(81_243.4)
    assert NIGHT + Telemetry() == NIGHT
    assert Telemetry().facts()["fill"] is None


def test_what_is_stored_comes_back_whole_whatever_a_later_program_added() -> None:
    assert from_json(to_json(NIGHT)) == NIGHT
    assert from_json(json.dumps(json.loads(to_json(NIGHT)) | {"num_coffees": 3})) == NIGHT


def test_every_second_of_the_scoring_thread_is_in_exactly_one_column() -> None:
    scorer = Counting()
    scorer.counts = ONE
    timing = DrainTiming(Clock([100, 107, 107.5, 120, 121, 122, 130, 131]))
    timing.begin()
    timing.waited_for_group(preparing_since=103)  # its texts were there after 3 s, its ids after 7
    with timing.scoring(scorer):  # from 107.5 to 120
        pass
    timing.waited_for_store()
    timing.close_group()
    timing.waited_for_group(preparing_since=90)  # made ready while the first was scored
    timing.waited_for_group(preparing_since=None)  # nothing is ready any more
    timing.waited_for_store()
    total = timing.total
    assert (total.store_s, total.tokens_s, total.device_s) == (3 + 0.5 + 1 + 8 + 1, 4 + 1, 12.5)
    assert total.seconds == 31
    assert total.num_tokens == 90


def test_a_drain_tells_it_group_by_group_and_in_its_line(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="rankmill.worker")
    submit(store, document_texts=["one", "other", "third"])
    with desk(store, lambda _: Counting()) as worker:
        report = worker.drain()
    assert "3 batches, fill 90%, load 10%; " in report.line()
    told = [record for record in caplog.records if record.message == "scored"]
    assert [getattr(record, "fields")["num_tokens"] for record in told] == [90] * 3  # noqa: B009


def test_a_heartbeat_takes_it_to_the_store_and_status_shows_it(
    store: Store, store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(store)
    with desk(store, lambda _: Counting(), heartbeat_s=0.05) as worker:
        worker.leases.begin()
        report = worker.drain()
        wait_until(lambda: workers(store)[0].telemetry == report.telemetry, 20, "a heartbeat")
        assert in_process("status", "--store", store_url, "--json") == 0
        (facts,) = json.loads(capsys.readouterr().out)["workers"]
        assert facts["telemetry"]["fill"] == 0.9
        assert in_process("status", "--store", store_url) == 0
        assert f"{report.telemetry.num_batches} batch" in capsys.readouterr().out


def test_a_worker_that_has_scored_nothing_says_nothing(store: Store) -> None:
    register(store, "null")
    assert workers(store)[0].telemetry is None

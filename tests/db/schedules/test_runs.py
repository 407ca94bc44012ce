"""Schedule runs: each is made once, however many beats ask or are killed; the clock is the test's."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rankmill.db.corpus.collections import COLLECTIONS, QUERY_SETS, remove
from rankmill.db.errors import ScheduleExists, StillNeeded, UnknownName
from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.records.jobs import JobState
from rankmill.db.records.rankings import Publishing
from rankmill.db.runtime.settings import Settings
from rankmill.db.schedules import catalog, runs
from rankmill.db.schedules.catalog import CatchUp, Overlap, Schedule, ScheduleRequest
from rankmill.db.schedules.runs import ScheduleRun
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.producer.schedules.cron import next_fire
from rankmill.producer.schedules.due import fire_now, submit_due, submit_next
from rankmill.producer.schedules.request import scorer_of
from rankmill.producer.sources.kinds import document_rows, query_rows
from rankmill.producer.submission.sync import sync
from tests.support.jobs.small_jobs import StandIn

AddSchedule = Callable[..., Schedule]

DAY_S = 86_400
MIDNIGHT = datetime(2026, 11, 2, tzinfo=UTC).timestamp()


def at(days: int, hour: int = 2, minute: int = 0) -> float:
    return MIDNIGHT + days * DAY_S + hour * 3600 + minute * 60


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(model="null", broker=redis_url)


@pytest.fixture
def kb(store: Store, settings: Settings) -> AddSchedule:
    """Adds the schedule `kb`, at two every night from the test's first day on."""
    sync(store, COLLECTIONS, "kb", document_rows({"d1": "one", "d2": "two"}))
    sync(store, QUERY_SETS, "faq", query_rows({"q1": "first?"}))

    def add(**asked: Any) -> Schedule:
        times: dict[str, Any] = {"name": "kb", "cron": "0 2 * * *", "zone": "UTC", "candidates": None}
        asked = times | {"scorer": scorer_of(settings)} | asked
        publishing = Publishing(ranking="kb")
        request = ScheduleRequest(collection="kb", query_set="faq", publishing=publishing, **asked)
        catalog.add(store, request, next_fire(request.cron, request.zone, at(0, hour=0)))
        return catalog.find(store, request.name)

    return add


def killed(*_: object, **__: object) -> None:
    """In the place of a step: what a process does that ends before it."""
    raise KeyboardInterrupt


def history(store: Store, schedule: Schedule) -> list[tuple[str, str]]:
    """The schedule's runs, oldest first, with what became of them."""
    found = runs.list_runs(store, schedule.schedule_id)
    return [(run.night, run.state.value) for run in reversed(found)]


def last(store: Store, schedule: Schedule) -> ScheduleRun:
    return runs.list_runs(store, schedule.schedule_id, limit=1)[0]


def test_a_night_becomes_a_job_of_what_the_store_keeps_then(
    store: Store, settings: Settings, kb: AddSchedule
) -> None:
    schedule = kb(top_k=5)
    assert submit_due(store, settings, at(0, 1, 59)) == []
    sync(store, COLLECTIONS, "kb", document_rows({"d1": "one", "d2": "two", "d3": "three"}))
    (sent,) = submit_due(store, settings, at(0))
    (job,) = list_job_progress(store)
    assert (job.job_id, job.name, job.num_pairs, job.top_k) == (sent.submission.job_id, "kb", 3, 5)
    assert history(store, schedule) == [("2026-11-02 02:00", "submitted")]
    assert submit_due(store, settings, at(0, 2, 1)) == []
    assert catalog.find(store, "kb").next_at == at(1)


def test_an_unchanged_night_ends_at_once_with_everything_reused(
    store: Store, settings: Settings, kb: AddSchedule
) -> None:
    kb()
    submit_due(store, settings, at(0))
    StandIn(store).drain()
    submit_due(store, settings, at(1))
    newest, first = list_job_progress(store)
    assert (newest.state, newest.num_reused, newest.num_shards) == (JobState.DONE, 2, 0)
    assert newest.job_id != first.job_id


def test_beats_at_the_same_moment_make_one_job_of_each_night(
    store_url: str, settings: Settings, store: Store, kb: AddSchedule
) -> None:
    schedule = kb()

    def beat(now: float) -> None:
        with open_store(store_url) as own:
            submit_due(own, settings, now)

    for day in range(2):
        threads = [threading.Thread(target=beat, args=(at(day),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        StandIn(store).drain()
    assert history(store, schedule) == [
        ("2026-11-02 02:00", "submitted"),
        ("2026-11-03 02:00", "submitted"),
    ]
    assert len(list_job_progress(store)) == 2


def test_a_beat_killed_after_it_recorded_the_night_loses_nothing(
    store: Store, settings: Settings, kb: AddSchedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = kb()
    monkeypatch.setattr("rankmill.producer.schedules.due.submit_run", killed)
    with pytest.raises(KeyboardInterrupt):
        submit_due(store, settings, at(0))
    monkeypatch.undo()
    assert history(store, schedule) == [("2026-11-02 02:00", "due")]
    submit_due(store, settings, at(0, 2, 1))
    assert history(store, schedule) == [("2026-11-02 02:00", "submitted")]


@pytest.mark.parametrize("asked_again_at", [at(0, 2, 1), at(1)])
def test_a_beat_killed_after_the_job_was_recorded_doubles_nothing(
    store: Store,
    settings: Settings,
    kb: AddSchedule,
    monkeypatch: pytest.MonkeyPatch,
    asked_again_at: float,
) -> None:
    schedule = kb()
    monkeypatch.setattr("rankmill.db.schedules.runs.note_submitted", killed)
    with pytest.raises(KeyboardInterrupt):
        submit_due(store, settings, at(0))
    monkeypatch.undo()
    (job,) = list_job_progress(store)
    submit_due(store, settings, asked_again_at)
    first = runs.list_runs(store, schedule.schedule_id)[-1]
    assert (first.state.value, first.job_id) == ("submitted", job.job_id)
    assert len(list_job_progress(store)) == 1, "the second night waits for the first one's job"


def test_missed_runs_are_made_up_for_once(store: Store, settings: Settings, kb: AddSchedule) -> None:
    schedule = kb(catch_up=CatchUp.ONCE)
    assert len(submit_due(store, settings, at(3, hour=9))) == 1
    assert history(store, schedule) == [("2026-11-05 02:00", "submitted")]
    assert catalog.find(store, "kb").next_at == at(4)


def test_missed_runs_are_skipped_if_asked(store: Store, settings: Settings, kb: AddSchedule) -> None:
    schedule = kb(catch_up=CatchUp.SKIP)
    assert submit_due(store, settings, at(3, hour=9)) == []
    assert history(store, schedule) == [("2026-11-05 02:00", "skipped")]
    assert "missed" in str(last(store, schedule).reason)
    assert len(submit_due(store, settings, at(4, minute=5))) == 1, "five minutes late is not missed"


def test_a_night_waits_for_the_job_of_the_one_before(
    store: Store, settings: Settings, kb: AddSchedule
) -> None:
    schedule = kb(overlap=Overlap.WAIT)
    submit_due(store, settings, at(0))
    assert submit_due(store, settings, at(1)) == []
    assert last(store, schedule).reason == "waits for job 1 of an earlier night"
    assert submit_due(store, settings, at(2)) == []
    StandIn(store).drain()
    assert len(submit_due(store, settings, at(2, minute=1))) == 1
    assert history(store, schedule) == [
        ("2026-11-02 02:00", "submitted"),
        ("2026-11-03 02:00", "skipped"),
        ("2026-11-04 02:00", "submitted"),
    ]


def test_a_night_is_left_out_while_the_one_before_is_at_work_where_that_is_asked(
    store: Store, settings: Settings, kb: AddSchedule
) -> None:
    schedule = kb(overlap=Overlap.SKIP)
    submit_due(store, settings, at(0))
    assert submit_due(store, settings, at(1)) == []
    assert last(store, schedule).reason == "job 1 of an earlier night was still at work"
    cancel_job(store, 1)
    assert len(submit_due(store, settings, at(2))) == 1


def test_a_night_whose_candidates_are_not_there_is_tried_again_and_then_given_up(
    store: Store, settings: Settings, kb: AddSchedule, tmp_path: Path
) -> None:
    schedule = kb(candidates=str(tmp_path / "run.tsv"))
    other = kb(name="other")
    assert len(submit_due(store, settings, at(0))) == 1, "the other schedule is not held up"
    assert (last(store, schedule).state.value, last(store, schedule).num_tries) == ("due", 1)
    assert "run.tsv" in str(last(store, schedule).reason)
    (tmp_path / "run.tsv").write_text("q1\td2\n")
    assert [sent.submission.num_pairs for sent in submit_due(store, settings, at(0, 2, 1))] == [1]
    StandIn(store).drain()
    (tmp_path / "run.tsv").write_text("q1\tnowhere\n")
    for minute in range(61):
        submit_due(store, settings, at(1, minute=minute))
    run = last(store, schedule)
    assert (run.state.value, run.num_tries) == ("failed", 60)
    assert "'nowhere'" in str(run.reason)
    assert [state for _, state in history(store, other)] == ["submitted"] * 2


def test_a_night_waits_for_a_broker_that_is_away_as_long_as_it_takes(
    store: Store, settings: Settings, kb: AddSchedule
) -> None:
    schedule = kb()
    away = settings.model_copy(update={"broker": "redis://127.0.0.1:1/0"})
    assert submit_due(store, away, at(0)) == []
    run = last(store, schedule)
    assert (run.state.value, run.num_tries) == ("due", 0)
    assert "cannot be used" in str(run.reason)
    assert list_job_progress(store) == []
    assert len(submit_due(store, settings, at(0, 2, 1))) == 1


def test_a_paused_schedule_makes_up_for_nothing(store: Store, settings: Settings, kb: AddSchedule) -> None:
    schedule = kb()
    catalog.pause(store, "kb")
    assert submit_due(store, settings, at(3)) == []
    catalog.resume(store, "kb", next_fire("0 2 * * *", "UTC", at(3, hour=9)))
    assert submit_due(store, settings, at(3, hour=10)) == []
    assert len(submit_due(store, settings, at(4))) == 1
    assert history(store, schedule) == [("2026-11-06 02:00", "submitted")]
    with pytest.raises(UnknownName):
        catalog.pause(store, "none")


def test_a_run_by_hand_leaves_the_next_one(store: Store, settings: Settings, kb: AddSchedule) -> None:
    schedule = kb()
    fire_now(store, schedule, at(0, hour=1))
    assert submit_next(store, schedule, settings) is not None
    assert last(store, schedule).by_hand
    assert catalog.find(store, "kb").next_at == at(0)


def test_a_repeated_hour_is_one_run(store: Store, settings: Settings, kb: AddSchedule) -> None:
    schedule = kb(cron="30 2 * * *", zone="Europe/Berlin")
    sunday = datetime(2027, 10, 31, tzinfo=UTC).timestamp()  # 02:30 comes at 00:30 and at 01:30 UTC
    for minutes in range(0, 120, 10):
        submit_due(store, settings, sunday + minutes * 60)
        StandIn(store).drain()
    found = [row for row in history(store, schedule) if row[0].startswith("2027-10-31")]
    assert found == [("2027-10-31 02:30", "submitted")]


def test_names_are_taken_once_and_what_is_ranked_cannot_be_removed(
    store: Store, settings: Settings, kb: AddSchedule
) -> None:
    kb()
    with pytest.raises(ScheduleExists, match="schedule remove kb"):
        kb()
    for kind, name in ((COLLECTIONS, "kb"), (QUERY_SETS, "faq")):
        with pytest.raises(StillNeeded, match="is ranked by schedule kb"):
            remove(store, kind, name)
    submit_due(store, settings, at(0))
    catalog.remove(store, "kb")
    assert remove(store, COLLECTIONS, "kb") == 2
    assert len(list_job_progress(store)) == 1


def test_a_schedule_keeps_its_scorer_whatever_the_beat_is_set_to(
    store: Store, settings: Settings, kb: AddSchedule
) -> None:
    kb(scorer=scorer_of(settings.model_copy(update={"max_length": 64})))
    submit_due(store, settings.model_copy(update={"model": "demo", "window": 32}), at(0))
    (job,) = list_job_progress(store)
    assert (job.scorer.model, job.scorer.max_length, job.scorer.window) == ("null", 64, None)

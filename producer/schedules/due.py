"""Submits the jobs of schedules that are due. Knows no beat and no clock.

Any number of processes may do this at the same moment, and each may be killed anywhere: the store records
every run of a schedule once, and the run has its own job key.
"""

import logging

from rankmill.db.errors import StoreBusy, StoreError, StoreFull, StoreReadOnly, StoreUnavailable
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.runtime.settings import Settings
from rankmill.db.schedules import catalog, runs
from rankmill.db.schedules.catalog import CatchUp, Schedule
from rankmill.db.schedules.runs import ScheduleRun
from rankmill.db.store.store import Store
from rankmill.producer.broker.doorbell import BrokerUnavailable
from rankmill.producer.errors import RankmillError
from rankmill.producer.schedules.cron import last_fire, next_fire, wall_clock
from rankmill.producer.schedules.request import scorer_settings
from rankmill.producer.sources.stored import Collection, QuerySet
from rankmill.producer.submission.inputs import JobOptions, inputs_from
from rankmill.producer.submission.submit import SubmittedJob, submit_job

LATE_S = 600
"""A run that no beat looked at for so long was missed; the catch-up policy of its schedule decides then."""

MAX_TRIES = 60
_TEMPORARY = (BrokerUnavailable, StoreBusy, StoreFull, StoreReadOnly, StoreUnavailable)

log = logging.getLogger("rankmill.beat")


def submit_due(store: Store, settings: Settings, now: float) -> list[SubmittedJob]:
    """Records the runs that are due at `now` and submits every run that may start; returns the jobs.

    An error of one schedule is noted with its run and does not delay the others. Raises StoreError.
    """
    for schedule in catalog.due(store, now):
        fire(store, schedule, now)
    tried = (submit_next(store, schedule, settings) for schedule in runs.schedules_with_due_runs(store))
    return [sent for sent in tried if sent is not None]


def fire(store: Store, schedule: Schedule, now: float) -> None:
    """Records the run that is due, the last one if there are several, and sets the schedule's next time."""
    cron, zone = schedule.asked.cron, schedule.asked.zone
    moment = last_fire(cron, zone, schedule.next_at, now)
    is_missed = now - moment > LATE_S
    is_skipped = is_missed and schedule.asked.catch_up is CatchUp.SKIP
    is_mine = runs.fire(
        store,
        schedule.schedule_id,
        was_next_at=schedule.next_at,
        next_at=next_fire(cron, zone, now),
        fire_at=moment,
        night=wall_clock(moment, zone),
        skip="missed: no beat ran at its time" if is_skipped else "",
    )
    if is_mine:
        event = "night_left_out" if is_skipped else "night_caught_up" if is_missed else "night_due"
        _log(event, schedule, night=wall_clock(moment, zone))


def fire_now(store: Store, schedule: Schedule, now: float) -> None:
    """Records a run at `now`, besides those of its times."""
    night = wall_clock(now, schedule.asked.zone)
    runs.fire_by_hand(store, schedule.schedule_id, int(now), night)


def submit_next(store: Store, schedule: Schedule, settings: Settings) -> SubmittedJob | None:
    """Submits the run that is due, unless it must wait. If it cannot, the store says why."""
    run = runs.next_run(store, schedule.schedule_id)
    if run is None:
        return None
    try:
        submitted = submit_run(store, schedule, run, settings)
    except (RankmillError, StoreError) as error:
        max_tries = None if isinstance(error, _TEMPORARY) else MAX_TRIES
        runs.note_not_submitted(store, run.run_id, reason_of(error), max_tries=max_tries)
        _log("night_not_submitted", schedule, night=run.night, reason=reason_of(error))
        return None
    job = submitted.submission
    runs.note_submitted(store, run.run_id, job.job_id)
    fields = {"job_id": job.job_id, "num_pairs": job.num_pairs, "num_reused": job.num_reused}
    _log("night_submitted", schedule, night=run.night, **fields)
    return submitted


def submit_run(store: Store, schedule: Schedule, run: ScheduleRun, settings: Settings) -> SubmittedJob:
    """Records the run's job, or finds it, and tells workers. Candidates are read now, on this machine."""
    asked = schedule.asked
    inputs = inputs_from(
        Collection(asked.collection), QuerySet(asked.query_set), asked.candidates, settings.max_line_bytes
    )
    job_options = JobOptions(
        name=asked.name,
        priority=asked.priority,
        top_k=asked.top_k,
        min_score=asked.min_score,
        publishing=asked.publishing,
        notification=asked.notification,
    )
    chosen = scorer_settings(settings, asked.scorer)
    return submit_job(store, inputs, job_options, chosen, key=runs.key_of(schedule.schedule_id, run.fire_at))


def _log(event: str, schedule: Schedule, **fields: object) -> None:
    log.info(event, extra={"fields": {"schedule": schedule.asked.name, **fields}})

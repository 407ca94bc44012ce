"""The commands of what is made every night: schedule, and the beat that fires them."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankmill.producer.command_line import options
from rankmill.producer.command_line.commands.schedule_add import schedule_add
from rankmill.producer.command_line.output.opening import opened_store

if TYPE_CHECKING:
    from rankmill.db.schedules.catalog import Schedule
    from rankmill.db.schedules.runs import ScheduleRun

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name, and its ranking's.")]


def schedule_list(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="With its last nights.")] = None,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """List the schedules with their next and last nights; of one, the last ten.

    Example: rankmill schedule list kb
    """
    from rankmill.db.schedules.catalog import find, list_schedules
    from rankmill.db.schedules.runs import list_runs
    from rankmill.producer.command_line.output.opening import print_json, standard_output
    from rankmill.producer.command_line.output.tables import facts_table

    with opened_store(store) as opened:
        found = list_schedules(opened) if name is None else [find(opened, name)]
        last = {row.schedule_id: list_runs(opened, row.schedule_id) for row in found}
    if json_:
        print_json([_facts(row, last[row.schedule_id]) for row in found])
        return
    console = standard_output()
    if not found:
        console.print("no schedule yet: rankmill schedule add makes one")
        return
    console.print(facts_table([_shown(row, last[row.schedule_id]) for row in found]))
    if name is not None and last[found[0].schedule_id]:
        console.print(facts_table([_shown_run(run) for run in last[found[0].schedule_id]]))


def schedule_remove(name: Name, store: options.StoreUrl = None) -> None:
    """Remove a schedule and the record of its nights; its jobs and its ranking stay.

    Example: rankmill schedule remove kb
    """
    from rankmill.db.schedules.catalog import remove
    from rankmill.producer.command_line.output.progress import diagnostics

    with opened_store(store) as opened:
        remove(opened, name)
    diagnostics().print(f"schedule {name} is removed")


def schedule_pause(name: Name, store: options.StoreUrl = None) -> None:
    """Let a schedule rest until it is resumed.

    Example: rankmill schedule pause kb
    """
    from rankmill.db.schedules.catalog import pause
    from rankmill.producer.command_line.output.progress import diagnostics

    with opened_store(store) as opened:
        pause(opened, name)
    diagnostics().print(f"schedule {name} rests; rankmill schedule resume {name} wakes it")


def schedule_resume(name: Name, store: options.StoreUrl = None) -> None:
    """Let a paused schedule fire again, from its next night on.

    Example: rankmill schedule resume kb
    """
    from rankmill.db.schedules.catalog import find, resume
    from rankmill.producer.command_line.output.progress import diagnostics
    from rankmill.producer.schedules.cron import next_fire, wall_clock

    with opened_store(store) as opened:
        asked = find(opened, name).asked
        resume(opened, name, next_fire(asked.cron, asked.zone, opened.now()))
        next_at = find(opened, name).next_at
    diagnostics().print(f"schedule {name} fires next at {wall_clock(next_at, asked.zone)} {asked.zone}")


def schedule_run_now(
    name: Name,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    json_: options.Json = False,
) -> None:
    """Make a schedule's ranking now, out of turn; its next night stays as it is.

    Example: rankmill schedule run-now kb && rankmill watch kb
    """
    from rankmill.db.schedules.catalog import find
    from rankmill.db.schedules.runs import list_runs
    from rankmill.producer.command_line.output.summary import say_submitted
    from rankmill.producer.errors import RuntimeFailure, UsageError
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.schedules.due import fire_now, submit_next
    from rankmill.producer.settings import settings_from

    settings = settings_from({"store": store, "broker": broker})
    with Interruption(), opened_store(store) as opened:
        schedule = find(opened, name)
        if schedule.paused_at is not None:
            raise UsageError(f"Schedule {name} rests. Wake it first: rankmill schedule resume {name}")
        fire_now(opened, schedule, opened.now())
        sent = submit_next(opened, schedule, settings)
        if sent is not None:
            say_submitted(opened, sent, as_json=json_)
            return
        (run,) = list_runs(opened, schedule.schedule_id, limit=1)
    why = run.reason or "another process submits it"
    raise RuntimeFailure(f"The night of {run.night} has no job yet, and a beat goes on trying: {why}")


def beat(
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say, by the exit code, whether some beat asks.")
    ] = False,
) -> None:
    """Start the beat: it submits the jobs of schedules when they are due, until it is stopped.

    Several may run; each night is still made once. The same as `celery -A rankmill.producer.beat beat`.

    Example: rankmill beat --store postgresql://rank@db/rank --broker redis://queue:6379/0
    """
    from rankmill.db.schedules.runs import OVERDUE_S, num_overdue
    from rankmill.producer.errors import MissingPrerequisite
    from rankmill.producer.settings import child_environment, settings_from

    settings = settings_from({"store": store, "broker": broker})
    if check:
        with opened_store(store) as opened:
            if num_overdue(opened, OVERDUE_S):
                raise MissingPrerequisite(
                    "A schedule has been due for minutes and nobody asked for it: start rankmill beat."
                )
        return
    if settings.broker is None:
        raise MissingPrerequisite(
            "The beat tells workers of its jobs through a broker: name it with --broker (RANKMILL_BROKER)."
        )
    with opened_store(store):
        pass
    os.environ |= child_environment(settings)
    from rankmill.producer.beat import run

    run()


SCHEDULE: dict[str, Callable[..., None]] = {
    "add": schedule_add,
    "list": schedule_list,
    "remove": schedule_remove,
    "pause": schedule_pause,
    "resume": schedule_resume,
    "run-now": schedule_run_now,
}


def _facts(row: "Schedule", last: list["ScheduleRun"]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(row.asked),
        "next_at": row.next_at,
        "paused_at": row.paused_at,
        "nights": [_run_facts(run) for run in last],
    }


def _run_facts(run: "ScheduleRun") -> dict[str, Any]:
    from dataclasses import asdict

    facts = asdict(run)
    return {"night_id": facts.pop("run_id"), **facts}


def _shown(row: "Schedule", last: list["ScheduleRun"]) -> dict[str, str]:
    from rankmill.producer.schedules.cron import wall_clock

    zone = row.asked.zone
    newest = _shown_run(last[0]) if last else {"night": "", "state": "", "job": "", "reason": ""}
    return {
        "schedule": row.asked.name,
        "cron": row.asked.cron,
        "zone": zone,
        "next": "paused" if row.paused_at is not None else wall_clock(row.next_at, zone),
        "last night": newest["night"],
        "state": newest["state"],
        "job": newest["job"],
        "reason": newest["reason"],
    }


def _shown_run(run: "ScheduleRun") -> dict[str, str]:
    return {
        "night": run.night + (" by hand" if run.by_hand else ""),
        "state": run.state.value,
        "job": "" if run.job_id is None else str(run.job_id),
        "reason": run.reason or "",
    }

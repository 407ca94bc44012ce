"""The commands for the machines and the store: worker, migrate, monitor, doctor and prune."""

import os
import sys
from typing import Annotated

import typer

from rankmill.producer.command_line import options


def worker(
    model: options.Model = None,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    batch_tokens: Annotated[
        int | None,
        typer.Option(
            "--batch-tokens",
            help="Cost budget of one forward pass, in tokens (attention counts extra); by default chosen for "
            "the device.",
        ),
    ] = None,
    job: Annotated[int | None, typer.Option("--job", help="Score shards of this job only.")] = None,
) -> None:
    """Start a worker, which scores the jobs of one model until it is stopped (Ctrl-C or SIGTERM).

    Start one for each GPU. `celery -A rankmill.worker.app worker` does the same, with the settings in the
    environment.

    Example: rankmill worker --model BAAI/bge-reranker-v2-m3 --store postgresql://rank@db/rank
    --broker redis://queue:6379/0
    """
    from rankmill.producer.errors import MissingPrerequisite
    from rankmill.producer.settings import child_environment, settings_from

    flags = {"model": model, "store": store, "broker": broker, "batch_tokens": batch_tokens, "job": job}
    settings = settings_from(flags)
    if settings.broker is None:
        raise MissingPrerequisite(
            "A worker hears of work through a broker: name it with --broker (RANKMILL_BROKER), for example "
            "redis://localhost:6379/0; or use rankmill run, which needs none."
        )
    _become([sys.executable, "-P", "-m", "rankmill.worker"], child_environment(settings))


def migrate(store: options.StoreUrl = None) -> None:
    """Upgrade the store's schema to this version; safe to run again.

    Example: rankmill migrate --store postgresql://rank@db/rank
    """
    from rankmill.db.store.migrate import migrate as upgrade
    from rankmill.db.store.urls import shown_url
    from rankmill.producer.command_line.output.opening import standard_error
    from rankmill.producer.settings import settings_from

    url = settings_from({"store": store}).store
    before, after = upgrade(url)
    done = (
        f"is at schema {after} already" if before == after else f"went from {before or 'nothing'} to {after}"
    )
    standard_error().print(f"store {shown_url(url)} {done}")


def monitor(
    broker: options.BrokerUrl = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port to listen on.", show_default="5555")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", metavar="PATH", help="Path it lives under, behind a proxy that keeps it."),
    ] = None,
) -> None:
    """Start Flower, read-only and with a password, to see workers and tasks in a browser.

    Needs RANKMILL_FLOWER_AUTH=USER:PASSWORD in the environment or in .env.

    Example: rankmill monitor --broker redis://localhost:6379/0
    """
    from rankmill.producer.broker.doorbell import Doorbell
    from rankmill.producer.command_line.output.opening import standard_error
    from rankmill.producer.diagnostics.flower import monitor_address, monitor_command
    from rankmill.producer.settings import settings_from

    flags = {"flower_port": port, "flower_address": address, "flower_prefix": prefix}
    settings = settings_from({"broker": broker, **flags})
    command, environment = monitor_command(settings)
    assert settings.broker is not None
    Doorbell(settings.broker).close()
    standard_error().print(f"monitor: {monitor_address(settings)}")
    _become(command, environment)


def doctor(
    model: options.Model = None,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    json_: options.Json = False,
) -> None:
    """Check this installation and say what to fix; with --model, also load the model and test it.

    The tests are smoke checks: questions with a right answer and a wrong one that shares more of the words.
    A failed check shows where not to rely on the model. It does not change the exit code.

    Example: rankmill doctor --model demo
    """
    from dataclasses import asdict

    from rankmill.producer.command_line.exit_codes import MISSING
    from rankmill.producer.command_line.output.opening import print_json, standard_output
    from rankmill.producer.command_line.output.tables import findings_table, smoke_checks_table
    from rankmill.producer.diagnostics.doctor import examine, smoke_check_sentence
    from rankmill.producer.settings import settings_from

    settings = settings_from({"model": model, "store": store, "broker": broker})
    findings = list(examine(settings, model=model))
    is_fit = all(finding.is_ok or finding.is_optional for finding in findings)
    if json_:
        print_json({"is_fit": is_fit, "findings": [asdict(finding) for finding in findings]})
    else:
        console = standard_output()
        console.print(findings_table(findings))
        for finding in findings:
            if finding.traps:
                console.print(smoke_checks_table(finding.traps))
                console.print(smoke_check_sentence(finding.traps))
    if not is_fit:
        raise typer.Exit(MISSING)


def _become(command: list[str], environment: dict[str, str]) -> None:
    """Replaces this process by the program, so that signals and exit codes are those of the program."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)  # noqa: S606


def prune(
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", min=0, metavar="DAYS", help="By default RANKMILL_KEEP_DAYS, 30."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove it; without this, only say what would be removed.")
    ] = False,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """Remove old data that is no longer needed: jobs that ended, and unused scores and texts.

    Keeps active jobs, the jobs of publications that can be restored, and all that is in a collection or query
    set. Workers and submissions may run at the same time.

    Example: rankmill prune --older-than 14 --yes
    """
    from dataclasses import asdict

    from rankmill.db.maintenance.prune import prune as remove_old
    from rankmill.producer.command_line.output.opening import opened_store, print_json, standard_error
    from rankmill.producer.command_line.output.wording import counted
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.settings import settings_from

    days = settings_from({"store": store, "keep_days": older_than}).keep_days
    with Interruption(), opened_store(store) as opened:
        found = remove_old(opened, days * 86_400, is_trial=not yes)
    if json_:
        print_json({**asdict(found), "older_than_days": days, "dry_run": not yes})
        return
    console = standard_error()
    console.print(
        f"older than {days:g} days: {counted(found.num_jobs, 'job')} with "
        f"{counted(found.num_pairs, 'pair')}, {counted(found.num_scores, 'score')}, "
        f"{counted(found.num_texts, 'text')} "
        f"{'removed' if yes else 'would be removed; do it with --yes'}"
    )
    if not found.is_whole:
        console.print("inputs are being read at the moment: the next prune removes texts")

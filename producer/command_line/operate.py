"""The commands of whoever keeps the machines: worker, migrate, monitor and doctor."""

import os
import sys
from typing import Annotated

import typer

from producer.command_line import options


def worker(
    model: options.Model = None,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    batch_tokens: Annotated[
        int | None,
        typer.Option("--batch-tokens", help="Tokens of one forward pass; by default chosen for the device."),
    ] = None,
    job: Annotated[int | None, typer.Option("--job", help="Score shards of this job only.")] = None,
) -> None:
    """Start a worker: it scores the jobs of its model until it is stopped (Ctrl-C or SIGTERM, softly).

    The same as `celery -A worker.app worker` with the same settings in the environment. Start one per GPU.

    Example: rankmill worker --model BAAI/bge-reranker-v2-m3 --store postgresql://rank@db/rank
    --broker redis://queue:6379/0
    """
    from producer.choices import child_environment, settings_from
    from producer.errors import MissingPrerequisite

    flags = {"model": model, "store": store, "broker": broker, "batch_tokens": batch_tokens, "job": job}
    settings = settings_from(flags)
    if settings.broker is None:
        raise MissingPrerequisite(
            "A worker hears of work through a broker: name it with --broker (RANKMILL_BROKER), for example "
            "redis://localhost:6379/0; or use rankmill run, which needs none."
        )
    _become([sys.executable, "-P", "-m", "worker"], child_environment(settings))


def migrate(store: options.StoreUrl = None) -> None:
    """Bring the store's schema up to this program; safe to run again.

    Example: rankmill migrate --store postgresql://rank@db/rank
    """
    from db.migration import migrate as bring_up
    from db.store import shown_url
    from producer.choices import settings_from
    from producer.screen import diagnostics

    url = settings_from({"store": store}).store
    before, after = bring_up(url)
    done = (
        f"is at schema {after} already" if before == after else f"went from {before or 'nothing'} to {after}"
    )
    diagnostics().print(f"store {shown_url(url)} {done}")


def monitor(
    broker: options.BrokerUrl = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port to listen on.", show_default="5555")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
) -> None:
    """Start Flower, read-only and with a password, to see workers and tasks in a browser.

    Needs RANKMILL_FLOWER_AUTH=USER:PASSWORD in the environment or in .env.

    Example: rankmill monitor --broker redis://localhost:6379/0
    """
    from producer.choices import settings_from
    from producer.doorbell import Doorbell
    from producer.monitor import monitor_command
    from producer.screen import diagnostics

    settings = settings_from({"broker": broker, "flower_port": port, "flower_address": address})
    command, environment = monitor_command(settings)
    assert settings.broker is not None
    Doorbell(settings.broker).close()
    diagnostics().print(f"monitor: http://{settings.flower_address}:{settings.flower_port}")
    _become(command, environment)


def doctor(
    model: options.Model = None,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    json_: options.Json = False,
) -> None:
    """Say what is missing and how to mend it; with --model also load it here and set it traps.

    A trap is a question with a right answer and one that only shares its words. What a model fails is no
    fault of the machine, so it does not change the exit code; it says what not to trust the model with.

    Example: rankmill doctor --model demo
    """
    from dataclasses import asdict

    from producer.choices import settings_from
    from producer.command_line.endings import MISSING
    from producer.command_line.summary import print_json
    from producer.command_line.tables import findings_table, standard_output, traps_table
    from producer.doctor import examine, told_of_traps

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
                console.print(traps_table(finding.traps))
                console.print(told_of_traps(finding.traps))
    if not is_fit:
        raise typer.Exit(MISSING)


def _become(command: list[str], environment: dict[str, str]) -> None:
    """Replaces this process, so that signals and exit codes are the program's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)  # noqa: S606

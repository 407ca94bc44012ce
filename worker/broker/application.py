"""Celery applications that take nothing from the environment, and `celery -A`'s word on the broker."""

import os
from typing import Any

import click
from billiard.process import current_process
from celery import Celery
from click.core import ParameterSource

from rankmill.db.runtime.foreign_variables import drop_foreign
from rankmill.worker.broker.loader import InstalledOnlyLoader

BROKER_VARIABLE = "RANKMILL_BROKER"


def isolated_application(name: str, **arguments: Any) -> Celery:
    """An application without another one's loader, Django project or results."""
    return Celery(name, loader=InstalledOnlyLoader, fixups=(), **arguments)


def isolate_process() -> None:
    """Makes a process that imports the application one of ours; a pool's child is made by its parent.

    `celery -A rankmill.worker.app --broker URL` names the broker like `rankmill worker --broker URL`.
    """
    if current_process().name != "MainProcess":
        return
    drop_foreign()
    if broker := _broker_option():
        os.environ[BROKER_VARIABLE] = broker


def _broker_option() -> str | None:
    context = click.get_current_context(silent=True)
    if context is None or context.get_parameter_source("broker") is not ParameterSource.COMMANDLINE:
        return None
    broker = context.params.get("broker")
    return broker if isinstance(broker, str) else None

"""Celery applications that take nothing from the environment, and what is typed behind `celery -A`."""

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
    if isinstance(broker := typed_option("broker"), str):
        os.environ[BROKER_VARIABLE] = broker


def typed_option(name: str) -> object:
    """The value of an option of Celery's command that was typed; None for defaults, and outside of it."""
    context = click.get_current_context(silent=True)
    if context is None or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
        return None
    value: object = context.params.get(name)
    return value

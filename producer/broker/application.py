"""Celery applications that take nothing from the environment: neither another one's loader, nor its Django
project, nor its place for results. Their broker is named by whoever connects.

Also what is typed behind `celery -A`.
"""

from typing import Any

import click
from celery import Celery
from click.core import ParameterSource

from rankmill.producer.broker.loader import InstalledOnlyLoader


def isolated_application(name: str, **arguments: Any) -> Celery:
    application = Celery(name, loader=InstalledOnlyLoader, fixups=(), **arguments)
    application.backend_cls = "disabled"
    return application


def typed_option(name: str) -> object:
    """The value of an option of Celery's command that was typed; None for defaults, and outside of it."""
    context = click.get_current_context(silent=True)
    if context is None or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
        return None
    value: object = context.params.get(name)
    return value

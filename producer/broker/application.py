"""Celery applications that take nothing from the environment: neither another one's loader, nor its Django
project, nor its place for results. Their broker is named by whoever connects.
"""

from typing import Any

from celery import Celery

from rankmill.producer.broker.loader import InstalledOnlyLoader


def isolated_application(name: str, **arguments: Any) -> Celery:
    application = Celery(name, loader=InstalledOnlyLoader, fixups=(), **arguments)
    application.backend_cls = "disabled"
    return application

"""Where a worker's events go: standard error, or the file and from the level that Celery's command was given.

`celery worker --logfile`, `--detach`, `celery multi` and service files written for them expect that.
"""

import logging
import os
from typing import Any

from celery.utils.nodenames import gethostname, host_format, node_format

from rankmill.db.runtime.log_events import setup_logging
from rankmill.db.runtime.settings import Settings
from rankmill.worker.broker.application import typed_option

FILE_VARIABLE = "RANKMILL_LOG_FILE"  # for the pool's child; %i and %I in it stand for the child's number
LEVEL_VARIABLE = "RANKMILL_LOG_LEVEL"


def note_log_file(name: str | None, hostname: str) -> None:
    """Notes, in the worker's parent, which file was asked for: `name`, in which %n stands for the node."""
    os.environ[FILE_VARIABLE] = node_format(name, hostname, i="%i", I="%I") if name else ""


def leave_log_to_the_child(**_: Any) -> None:
    """Lets billiard open no log of its own in the pool's child, which sets up ours when it begins."""
    for name in [name for name in os.environ if name.startswith("_MP_FORK_")]:
        del os.environ[name]


def log_file() -> str | None:
    """The file of this process."""
    name = os.environ.get(FILE_VARIABLE)
    return host_format(name, gethostname()) if name else None


def set_up_log(settings: Settings) -> None:
    """Sets up logging in this process. A level that was typed goes on to the pool's child."""
    level = typed_option("loglevel")
    if isinstance(level, int):  # RANKMILL_LOG_LEVEL knows none that is more severe than ERROR
        os.environ[LEVEL_VARIABLE] = logging.getLevelName(min(level, logging.ERROR))
        settings = settings.model_copy(update={"log_level": os.environ[LEVEL_VARIABLE]})
    setup_logging(settings, file=log_file())

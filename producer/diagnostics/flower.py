"""The monitor: Flower, started in the one configuration that is safe to leave running.

Its pages show the arguments of every task (ours are ids) to whoever can open them. So it asks for a password,
listens on loopback and is read-only. Secrets are passed in the environment, never on the command line.
"""

import importlib.util
import os
import sys

from rankmill.db.runtime.foreign_variables import without_foreign
from rankmill.db.runtime.settings import Settings
from rankmill.producer.errors import MissingPrerequisite

MIN_PASSWORD_CHARS = 8
MAX_TASKS = 10_000
_RUNTIME_BUCKETS_S = (0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1200)
_GUESSABLE = {"password", "changeme", "change-me", "12345678", "123456789", "rankmill", "flower", "admin"}


def monitor_command(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """The command and the environment that start Flower.

    Raises MissingPrerequisite without Flower, without a broker, and without a good password.
    """
    if importlib.util.find_spec("flower") is None:
        raise MissingPrerequisite("The monitor needs Flower. Install it: pip install 'rankmill[monitor]'.")
    if settings.broker is None:
        raise MissingPrerequisite(
            "The monitor shows the tasks of a broker: name it with --broker (RANKMILL_BROKER)."
        )
    environment = without_foreign(os.environ) | {
        "CELERY_BROKER_URL": settings.broker,
        "FLOWER_BASIC_AUTH": _credentials(settings.flower_auth),
        "FLOWER_ADDRESS": settings.flower_address,
        "FLOWER_PORT": str(settings.flower_port),
        "FLOWER_READ_ONLY": "true",
        "FLOWER_MAX_TASKS": str(MAX_TASKS),
        "FLOWER_PURGE_OFFLINE_WORKERS": "3600",
        "FLOWER_TASK_RUNTIME_METRIC_BUCKETS": ",".join(map(str, _RUNTIME_BUCKETS_S)),
        "FLOWER_TASKS_COLUMNS": "name,uuid,state,args,result,received,started,runtime,worker",
    }
    if settings.flower_prefix is not None:
        environment["FLOWER_URL_PREFIX"] = settings.flower_prefix.strip("/")
    return [sys.executable, "-P", "-m", "rankmill.producer.broker.monitor"], environment


def monitor_address(settings: Settings) -> str:
    """Where the monitor's first page is, seen from this machine."""
    prefix = "" if settings.flower_prefix is None else f"/{settings.flower_prefix.strip('/')}"
    return f"http://{settings.flower_address}:{settings.flower_port}{prefix}/"


def _credentials(auth: str | None) -> str:
    remedy = "Set RANKMILL_FLOWER_AUTH=USER:PASSWORD in the environment or in .env."
    if not auth:
        raise MissingPrerequisite(f"The monitor does not start without a user and password. {remedy}")
    user, _, password = auth.partition(":")
    if not user or len(password) < MIN_PASSWORD_CHARS or password.lower() in {*_GUESSABLE, user.lower()}:
        raise MissingPrerequisite(
            f"The monitor's password is missing or easy to guess; it needs {MIN_PASSWORD_CHARS} characters "
            f"and must not be a common word. {remedy}"
        )
    if "," in auth:
        raise MissingPrerequisite(
            "The monitor's user and password cannot have a comma: Flower would read a list. Choose others."
        )
    return auth

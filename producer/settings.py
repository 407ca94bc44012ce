"""Settings of one call: options given, then RANKMILL_* variables, then .env, then defaults.

Knows the names of options and settings; knows nothing of what they are used for.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from rankmill.db.runtime.foreign_variables import without_foreign
from rankmill.db.runtime.settings import Settings
from rankmill.producer.errors import UsageError

OTHER_FLAGS = {
    "flower_address": "--address",
    "flower_port": "--port",
    "flower_prefix": "--prefix",
    "keep_days": "--older-than",
}
"""Flags that are not called like their settings."""


def settings_from(flags: Mapping[str, object]) -> Settings:
    """The settings, with every flag that is not None in place of its setting.

    Raises UsageError with the name of each wrong one, and without its value, which may be a password.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except UnicodeDecodeError as cause:
        raise UsageError(
            f"{Path('.env').absolute()} is not UTF-8 text: {cause.reason}. Save it as UTF-8."
        ) from cause
    except OSError as cause:
        raise UsageError(f"{cause.filename or '.env'} cannot be read: {cause.strerror}.") from cause
    except ValidationError as cause:
        problems = []
        for error in cause.errors(include_url=False, include_input=False, include_context=False):
            name = str(error["loc"][0]) if error["loc"] else "settings"
            source = _flag(name) if name in given else f"RANKMILL_{name.upper()}"
            problems.append(f"{source}: {error['msg']}")
        raise UsageError("Wrong settings. " + "; ".join(problems) + ".") from cause


def _flag(name: str) -> str:
    return OTHER_FLAGS.get(name) or "--" + name.replace("_", "-")


def child_environment(settings: Settings, **overlay: str | int | None) -> dict[str, str]:
    """The environment that gives a child process exactly `settings`; passwords are passed nowhere else."""
    environment = without_foreign(os.environ)
    for name in Settings.model_fields:
        value = getattr(settings, name)
        environment[f"RANKMILL_{name.upper()}"] = "" if value is None else str(value)
    for name, value in overlay.items():
        environment[f"RANKMILL_{name.upper()}"] = "" if value is None else str(value)
    return environment

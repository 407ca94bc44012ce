"""What may be asked of a schedule, checked before it is recorded; and its scorer, as the store has it."""

from collections.abc import Mapping
from typing import Any

from rankmill.db.records.scorers import spec_from_json, spec_to_json
from rankmill.db.runtime.settings import Settings
from rankmill.db.schedules.catalog import CatchUp, Overlap
from rankmill.producer.errors import UsageError
from rankmill.producer.submission.scorer import scorer_spec

_SETTINGS = ("model", "revision", "precision", "max_length", "long_documents", "window", "stride")


def policies(catch_up: str, overlap: str) -> tuple[CatchUp, Overlap]:
    """The policies that these words name. Raises UsageError."""
    if catch_up not in list(CatchUp):
        raise UsageError(f"--catch-up takes once or skip, not {catch_up!r}.")
    if overlap not in list(Overlap):
        raise UsageError(f"--overlap takes wait or skip, not {overlap!r}.")
    return CatchUp(catch_up), Overlap(overlap)


def scorer_of(settings: Settings) -> Mapping[str, Any]:
    """The settings that choose the scorer, as a schedule keeps them. Raises what scorer_spec raises.

    The digest of a model's files is not among them: a folder is looked at again in each run, and other files
    are another scorer.
    """
    facts = spec_to_json(scorer_spec(settings))
    return {name: facts[name] for name in _SETTINGS}


def scorer_settings(settings: Settings, scorer: Mapping[str, Any]) -> Settings:
    """`settings` with the scorer of the schedule, whatever scorer this process was given."""
    spec = spec_from_json(scorer)
    return settings.model_copy(update={name: getattr(spec, name) for name in _SETTINGS})

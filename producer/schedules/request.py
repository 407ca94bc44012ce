"""Scheduling: what may be asked of a schedule, checked before it is recorded. Knows no command line."""

from collections.abc import Mapping
from typing import Any

from rankmill.db.runtime.settings import Settings
from rankmill.db.schedules.catalog import CatchUp, Overlap
from rankmill.producer.errors import UsageError
from rankmill.producer.submission.scorer import scorer_spec


def policies(catch_up: str, overlap: str) -> tuple[CatchUp, Overlap]:
    """The policies by their words. Raises UsageError."""
    if catch_up not in list(CatchUp):
        raise UsageError(f"--catch-up is once or skip, not {catch_up!r}.")
    if overlap not in list(Overlap):
        raise UsageError(f"--overlap is wait or skip, not {overlap!r}.")
    return CatchUp(catch_up), Overlap(overlap)


def scorer_of(settings: Settings) -> Mapping[str, Any]:
    """The settings that choose the scorer, as a schedule keeps them. Raises what scorer_spec raises.

    A model's folder is looked at again every night: other files are another scorer, and start anew.
    """
    spec = scorer_spec(settings)
    return {
        "model": spec.model,
        "revision": spec.revision,
        "precision": spec.precision.value,
        "max_length": spec.max_length,
        "long_documents": spec.long_documents.value,
        "window": spec.window,
        "stride": spec.stride,
    }

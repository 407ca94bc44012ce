"""The scorer that settings name, with the checks of its model that need no loading."""

import re

from rankmill.db.records.scorers import LongDocuments, ScorerSpec
from rankmill.db.runtime.settings import Settings
from rankmill.db.scorers.identity import spec_from_settings
from rankmill.db.scorers.model_files import DEMO_MODEL, NULL_MODEL, model_directory
from rankmill.producer.errors import MissingPrerequisite, UsageError
from rankmill.producer.submission.model_folder import check_model_folder

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def scorer_spec(settings: Settings) -> ScorerSpec:
    """The scorer that `settings` name. A directory becomes absolute and has the digest of its files.

    Raises UsageError for lengths that contradict each other, MissingPrerequisite for a model directory that
    is missing or cannot work.
    """
    _check_lengths(settings)
    model, directory = settings.model, model_directory(settings.model)
    if directory is not None:
        if settings.revision is not None:
            raise UsageError(
                f"--revision is for models of the hub, and {model} is a directory here: leave it out."
            )
        check_model_folder(model, directory)
    elif model != NULL_MODEL:
        _check_hub_id(model)
    return spec_from_settings(settings)


def _check_lengths(settings: Settings) -> None:
    window, stride, longest = settings.window, settings.stride, settings.max_length
    if stride is not None and window is None:
        raise UsageError("--stride needs --window: it is at most the window's length.")
    if stride is not None and window is not None and stride > window:
        raise UsageError(
            f"--stride {stride} is longer than --window {window}: text between windows would not be read."
        )
    if window is not None and longest is not None and window >= longest:
        raise UsageError(f"--window {window} leaves no room for a query in --max-length {longest}.")
    if window is not None and settings.long_documents is not LongDocuments.WINDOWS:
        raise UsageError(f"--window needs --long-documents windows, not {settings.long_documents}.")


def _check_hub_id(model: str) -> None:
    if model == DEMO_MODEL:
        raise MissingPrerequisite(
            "This installation has no demo model. Install the released package: pip install rankmill."
        )
    if model.startswith((".", "~", "/")) or not _HUB_ID.fullmatch(model):
        raise MissingPrerequisite(
            f"There is no model directory {model}. Give --model a directory with config.json and "
            "safetensors weights, a Hugging Face id such as BAAI/bge-reranker-v2-m3, or demo."
        )

"""Models and scorers for the engine's tests, each made once per session."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from rankmill.db.records.scorers import LongDocuments, Precision, ScorerSpec
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.scorer.model_scorer import ModelScorer
from tests.support.inputs.models import make_model

# Shared machines stall for longer than any deadline that would say something.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

# Tiny models gain nothing from threads, and threads of several test processes wait for one another.
torch.set_num_threads(1)

ModelDirectory = Callable[[str], Path]
LoadScorer = Callable[..., ModelScorer]


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> ModelDirectory:
    """The directory of a tiny random model, by family."""

    @cache
    def directory(family: str) -> Path:
        return make_model(family, tmp_path_factory.mktemp("models") / family)

    return directory


@pytest.fixture(scope="session")
def load(model_directory: ModelDirectory) -> LoadScorer:
    """A scorer of a family on the CPU in fp32 unless told otherwise; the same settings, the same scorer."""

    @cache
    def scorer(
        family: str,
        precision: Precision = Precision.FP32,
        long_documents: LongDocuments = LongDocuments.WINDOWS,
        batch_tokens: int | None = None,
        **lengths: Any,
    ) -> ModelScorer:
        spec = ScorerSpec(
            model=str(model_directory(family)), precision=precision, long_documents=long_documents, **lengths
        )
        return assemble(spec, batch_tokens, "cpu")

    return scorer

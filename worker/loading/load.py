"""The door to loading: what a job asks for becomes something that scores.

Imports torch only when a model is loaded.
"""

import os

from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.scorers.model_files import NULL_MODEL
from rankmill.worker.errors import NotInstalled
from rankmill.worker.health.heap import keep_freed_memory
from rankmill.worker.scorer.protocol import Scorer

ENGINE_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "huggingface_hub")


def load_scorer(spec: ScorerSpec, *, batch_tokens: int | None = None, device: str | None = None) -> Scorer:
    """Loads the scorer that `spec` describes, on `device` (by default CUDA where there is one).

    `batch_tokens` is the cost budget of one forward pass; by default it is chosen for the device.
    Raises a ModelError, whose message says what to do, for whatever is wrong with the model.
    """
    if spec.model == NULL_MODEL:
        from rankmill.worker.scorer.null_scorer import NullScorer

        return NullScorer()
    _set_library_defaults()
    keep_freed_memory()
    try:
        from rankmill.worker.loading.assemble import assemble
    except ModuleNotFoundError as error:
        if error.name not in ENGINE_PACKAGES:
            raise
        raise NotInstalled(error.name) from error
    return assemble(spec, batch_tokens, device)


def _set_library_defaults() -> None:
    """Settings that libraries read when they are first imported. The environment takes precedence."""
    # Tokenising on all cores is safe: this process never forks once it tokenises.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # PyTorch's threads wait for one another by spinning. With any other busy process on the machine that made
    # scoring ten times slower. After a short spin they now sleep, which costs a few percent on a quiet
    # machine.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")

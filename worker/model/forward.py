"""Runs batches one after another, and goes on when the device runs out of memory.

Knows batches and an encoder; knows no pair.
"""

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankmill.db.records.telemetry import Telemetry
from rankmill.worker.batching.layout import Batch
from rankmill.worker.batching.packing import Cost
from rankmill.worker.health import heap
from rankmill.worker.model.encoders import Encoder
from rankmill.worker.model.out_of_memory import is_onednn_refusal, is_out_of_memory

log = logging.getLogger("rankmill.worker")


class Budget:
    """The cost that a batch may have: halved when memory runs out, then slowly raised to where it was."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self._full = tokens

    def lower(self, failed_tokens: int) -> None:
        self.tokens = max(1, min(self.tokens, failed_tokens // 2))

    def recover(self) -> None:
        self.tokens = min(self._full, self.tokens + max(1, self._full // 200))


class ForwardResult(NamedTuple):
    """Logits by sequence index, NaN where there is none; why some have none; which a stop left out."""

    logits: NDArray[np.float32]
    reasons: dict[int, str]
    not_run: Collection[int]


class Forward:
    """Computes batches; waits for the device once, at the end. `counts` sums up what was computed."""

    def __init__(self, encoder: Encoder, cost: Cost, budget: Budget) -> None:
        self.encoder = encoder
        self.cost = cost
        self.budget = budget
        self.counts = Telemetry()

    def run(
        self, batches: Sequence[Batch], num_sequences: int, should_stop: Callable[[], bool]
    ) -> ForwardResult:
        """Runs batch after batch, until `should_stop` says yes between two of them."""
        logits = np.full(num_sequences, np.nan, np.float32)
        reasons: dict[int, str] = {}
        done: list[tuple[Batch, Tensor]] = []
        waiting = deque(batches)
        while waiting and not should_stop():
            batch = waiting.popleft()
            if len(batch.indexes) > 1 and batch.cost(self.cost) > self.budget.tokens:
                waiting.extendleft(reversed(batch.split(self.cost)))
                continue
            found = self._try(batch)
            if found is not None:
                done.append((batch, found))
                self._count(batch)
                self.budget.recover()
            elif len(batch.indexes) > 1:
                self.budget.lower(batch.cost(self.cost))
                waiting.extendleft(reversed(batch.split(self.cost)))
            else:
                reasons[batch.indexes[0]] = (
                    f"the device ran out of memory on this one sequence of {batch.num_tokens} tokens; "
                    "use a smaller --max-length or --window, or a device with more memory"
                )
        if done:
            order = np.concatenate([np.asarray(batch.indexes) for batch, _ in done])
            logits[order] = torch.cat([found for _, found in done]).cpu().numpy()
        return ForwardResult(logits, reasons, {index for batch in waiting for index in batch.indexes})

    def _count(self, batch: Batch) -> None:
        self.counts += Telemetry(
            num_batches=1,
            num_tokens=batch.num_tokens,
            num_computed_tokens=self.encoder.num_computed_tokens(batch),
            cost=batch.cost(self.cost),
            budget=self.budget.tokens,
        )

    def _try(self, batch: Batch) -> Tensor | None:
        """The batch's logits, or None when the device has too little memory for it."""
        try:
            return self.encoder.logits(batch)
        except RuntimeError as error:
            if not (is_out_of_memory(error) or (len(batch.indexes) > 1 and is_onednn_refusal(error))):
                raise
            log.warning(
                "out_of_memory",
                extra={
                    "fields": {
                        "num_sequences": len(batch.indexes),
                        "num_tokens": batch.num_tokens,
                        "budget_tokens": self.budget.tokens,
                        "error": str(error).split("\n")[0][:200],
                    }
                },
            )
        # Memory can be given back only here, when the exception and the tensors it held are gone.
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()
        heap.trim()
        return None

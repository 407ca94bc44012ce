"""The scorer with a model behind it: one thread tokenises and packs, another computes.

Calls the engine's steps in order; each of them has its own file.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rankmill.db.records.pairs import PairResults, PairTexts
from rankmill.db.records.scorers import EngineFacts
from rankmill.db.records.telemetry import Telemetry
from rankmill.worker.batching.layout import Batch, Layout, PairSequence
from rankmill.worker.batching.limits import Limits
from rankmill.worker.batching.packing import pack
from rankmill.worker.errors import Stopped
from rankmill.worker.model.encoders import Encoder, pinned
from rankmill.worker.model.forward import Forward
from rankmill.worker.scorer.planning import PlannedRequest, plan, results_of
from rankmill.worker.scorer.protocol import Prepared
from rankmill.worker.tokenize.tokenizer import CachingTokenizer, TokenizedText

log = logging.getLogger("rankmill.worker")

Encoded = Mapping[int, TokenizedText]
NOT_FINITE = "the model gives no finite number for this pair, not even in fp32"


@dataclass(frozen=True, slots=True)
class PreparedBatches(Prepared):
    """Requests as sequences, and those packed and laid out in batches."""

    plans: Sequence[PlannedRequest]
    sequences: Sequence[PairSequence]
    lengths: Sequence[int]
    batches: Sequence[Batch]


class ModelScorer:
    """Scores pairs with a cross-encoder."""

    def __init__(
        self,
        *,
        facts: EngineFacts,
        claim_tokens: int,
        tokenizer: CachingTokenizer,
        limits: Limits,
        layout: Layout,
        forward: Forward,
        device: torch.device,
        make_fp32: Callable[[], Encoder | None] | None,
        prompt: str = "",
        tells_apart: bool = True,
    ) -> None:
        """`make_fp32` gives the same model in fp32, or None where its logits do not agree; it is None when
        the model computes in fp32 already. `prompt` comes before every query. `tells_apart` says whether
        unlike pairs got different logits when the model was tried.
        """
        self.facts = facts
        self.claim_tokens = claim_tokens
        self.limits = limits
        self.tokenizer = tokenizer
        self.layout = layout
        self.tells_apart = tells_apart
        self.forward = forward
        self._is_cuda = device.type == "cuda"
        self._make_fp32 = make_fp32
        self._fp32_encoder: Encoder | None = None
        self._prompt = prompt

    def prepare(self, requests: Sequence[PairTexts]) -> PreparedBatches:
        sequences: list[PairSequence] = []
        plans = [plan(request.pairs, *self._encode(request), self.limits, sequences) for request in requests]
        lengths = [self.layout.length(sequence) for sequence in sequences]
        batches = [
            self._lay_out(sequences, [together[index] for index in group])
            for together in self._packed_together(plans)
            for group in pack(
                lengths[together.start : together.stop], self.forward.budget.tokens, self.forward.cost
            )
        ]
        return PreparedBatches(requests, plans, sequences, lengths, batches)

    def _encode(self, request: PairTexts) -> tuple[Encoded, Encoded]:
        """The request's texts as they are read as queries, and as documents."""
        num_tokens = self.limits.max_tokens_needed
        documents = self.tokenizer.encode(request.texts, num_tokens)
        if not self._prompt:
            return documents, documents
        asked = {pair.query_text_id for pair in request.pairs}
        prompted = {text_id: self._prompt + request.texts[text_id] for text_id in asked}
        return self.tokenizer.encode(prompted, num_tokens), documents

    def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[PairResults]:
        assert isinstance(prepared, PreparedBatches), "bug: prepared by another scorer"
        logits, reasons, not_run = self.forward.run(prepared.batches, len(prepared.sequences), should_stop)
        missing = set(np.flatnonzero(~np.isfinite(logits)).tolist()) - reasons.keys()
        if missing and not not_run:
            missing = self._score_in_fp32(prepared, sorted(missing), logits, reasons, should_stop)
        results = [
            None
            if missing.intersection(planned.sequences)
            else results_of(planned, logits, prepared.lengths, reasons)
            for planned in prepared.plans
        ]
        whole = [result for result in results if result is not None]
        if len(whole) < len(results):
            raise Stopped(results)
        return whole

    def take_counts(self) -> Telemetry:
        counts, self.forward.counts = self.forward.counts, Telemetry()
        return counts

    def _packed_together(self, plans: Sequence[PlannedRequest]) -> Iterable[range]:
        """Ranges of sequences that may share batches.

        On a GPU all, because it is fastest with large batches. On a CPU each request alone, so that its
        batches are the same whatever was prepared with it.
        """
        if self._is_cuda:
            return [range(plans[-1].sequences.stop)] if plans else []
        return [planned.sequences for planned in plans]

    def _lay_out(self, sequences: Sequence[PairSequence], indexes: Sequence[int]) -> Batch:
        batch = self.layout.batch(sequences, indexes)
        return pinned(batch) if self._is_cuda else batch

    def _score_in_fp32(
        self,
        prepared: PreparedBatches,
        not_finite: Sequence[int],
        logits: NDArray[np.float32],
        reasons: dict[int, str],
        should_stop: Callable[[], bool],
    ) -> set[int]:
        """Scores sequences again in fp32, one by one. Returns those that a stop left unscored."""
        log.warning(
            "not_finite", extra={"fields": {"num_sequences": len(not_finite), "dtype": self.facts.dtype}}
        )
        if self._make_fp32 is not None:
            self._fp32_encoder, self._make_fp32 = self._make_fp32(), None
        not_run: set[int] = set()
        if self._fp32_encoder is not None:
            in_fp32 = Forward(self._fp32_encoder, self.forward.cost, self.forward.budget)
            batches = [self._lay_out(prepared.sequences, [index]) for index in not_finite]
            ran = in_fp32.run(batches, len(prepared.sequences), should_stop)
            logits[list(not_finite)] = ran.logits[list(not_finite)]
            reasons.update(ran.reasons)
            not_run.update(ran.not_run)
            self.forward.counts += in_fp32.counts
        for index in not_finite:
            if index not in not_run and not np.isfinite(logits[index]):
                reasons.setdefault(index, NOT_FINITE)
        return not_run

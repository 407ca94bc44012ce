"""Batches to try a model with, and what it means for logits to agree."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rankmill.worker.batching.layout import Batch, Layout, PairSequence
from rankmill.worker.model.attention.varlen import use_flash
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from rankmill.worker.scorer.spread import is_spread
from rankmill.worker.tokenize.tokenizer import CachingTokenizer, TokenizedText

log = logging.getLogger("rankmill.worker")

# Another path adds up in another order, which half precision shows. A mistake makes far larger differences.
TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
DOCUMENT_TOKENS = (3, 30, 30, 333)
# The first answers the question, the second does not, the third is about something else. Equally many tokens
# of each are read, so only what they say can tell them apart.
QUERY = "What ends the contract?"
UNLIKE = (
    "Either party may end this contract by thirty days' notice in writing.",
    "The rent is due on the first day of each month.",
    "The apple tree flowers in May; l'été fut chaud, und 苹果熟了。",
)
PROBE = "What ends the contract? Either party may end it; sinon 三十日前の通知, a écrit, mit Frist."


@dataclass(frozen=True, slots=True)
class Trial:
    """Sequences of several lengths, and what the stock model gives for each of them alone.

    The last ones are ordinary pairs that differ from each other. Where `expected` is not finite, which can
    happen in half precision, nothing can be compared.
    """

    layout: Layout
    probe: TokenizedText
    max_length: int
    batch: Batch
    expected: Tensor
    dtype: torch.dtype

    @property
    def unlike(self) -> Tensor:
        """The logits of the unlike pairs."""
        return self.expected[-len(UNLIKE) :]

    @property
    def tells_apart(self) -> bool:
        """Whether the unlike pairs get different logits."""
        return is_spread(self.unlike.tolist())

    def difference(self, found: Tensor) -> float:
        """The largest difference from the expected logits; infinite where a logit is not a number."""
        known = self.expected.isfinite()
        largest = (found - self.expected)[known].abs().nan_to_num(float("inf")).max()
        return float(largest)

    def agrees(self, found: Tensor) -> bool:
        """Whether logits equal the expected ones up to rounding in this number format."""
        known = self.expected.isfinite()
        return are_close(found[known], self.expected[known], self.dtype)


def make_trial(model: Any, layout: Layout, tokenizer: CachingTokenizer, max_length: int) -> Trial:
    """Runs the stock model on every sequence by itself."""
    use_flash(None)  # an earlier model may have left another, which must not compute the stock model
    parameter = next(model.parameters())
    texts = dict(enumerate((PROBE, QUERY, *UNLIKE)))
    encoded = tokenizer.encode(texts)
    sequences = [
        *_sequences(layout, encoded[0], max_length),
        *_unlike_pairs(
            layout, encoded[1], [encoded[number] for number in range(2, len(encoded))], max_length
        ),
    ]
    batch = layout.batch(sequences, range(len(sequences)))
    expected = plain_logits(model, batch, parameter.device)
    return Trial(layout, encoded[0], max_length, batch, expected, parameter.dtype)


@torch.inference_mode()
def plain_logits(model: Any, batch: Batch, device: torch.device) -> Tensor:
    """The logits of a batch's sequences, each run by itself as transformers runs it."""
    num_tokens = batch.num_tokens
    ids, _, types = torch.from_numpy(batch.flat[: 3 * num_tokens]).long().to(device).view(3, 1, num_tokens)
    has_token_types = int(getattr(model.config, "type_vocab_size", 0) or 0) > 1
    logits = []
    for start, end in zip(batch.bounds[:-1].tolist(), batch.bounds[1:].tolist(), strict=True):
        inputs = {"input_ids": ids[:, start:end], "attention_mask": torch.ones_like(ids[:, start:end])}
        if has_token_types:
            inputs["token_type_ids"] = types[:, start:end]
        logits.append(model(**inputs).logits.float().reshape(-1))
    return torch.cat(logits)


def keeps_logits(encoder: PackedEncoder | PaddedEncoder, trial: Trial, path: str) -> bool:
    """Whether the encoder gives what the stock model gives for each sequence alone; logs a warning if not."""
    try:
        found = encoder.logits(trial.batch)
    except Exception as error:
        log.warning("fast_path_failed", extra={"fields": {"path": path, "error": str(error)[:300]}})
        return False
    if trial.agrees(found):
        return True
    fields = {"path": path, "difference": trial.difference(found)}
    log.warning("fast_path_disagrees", extra={"fields": fields})
    return False


def are_close(found: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    """Whether logits are equal up to rounding in this number format."""
    scale = max(1.0, float(expected.abs().max()))
    return bool(((found - expected).abs() <= TOLERANCE[dtype] * scale).all())


def _unlike_pairs(
    layout: Layout, query: TokenizedText, documents: Sequence[TokenizedText], max_length: int
) -> list[PairSequence]:
    """Ordinary pairs of one length, shortened to what the model can read."""
    room = max_length - layout.template.num_special_tokens
    num_query = min(len(query), room // 2)
    length = min(room - num_query, *map(len, documents))
    return [PairSequence(query, num_query, document, 0, length) for document in documents]


def _sequences(layout: Layout, probe: TokenizedText, max_length: int) -> Sequence[PairSequence]:
    """Sequences of several lengths, two of them equal, made of the probe's tokens."""
    ids = np.resize(probe.ids, max_length)
    text = TokenizedText(ids, ids, ids)
    num_query = min(4, max_length - layout.template.num_special_tokens - 1)
    room = max_length - layout.template.num_special_tokens - num_query
    return [
        PairSequence(text, num_query, text, shift, shift + min(length, room - shift))
        for shift, length in enumerate(DOCUMENT_TOKENS)
        if room - shift > 0
    ]


def longest_batch(layout: Layout, probe: TokenizedText, max_length: int, num_tokens: int) -> Batch:
    """A batch of about so many tokens in the longest sequences, whose tokens need the most memory."""
    ids = np.resize(probe.ids, max_length)
    text = TokenizedText(ids, ids, ids)
    room = max_length - layout.template.num_special_tokens - 1
    longest = PairSequence(text, 1, text, 0, min(room, num_tokens))
    num_sequences = max(1, num_tokens // layout.length(longest))
    return layout.batch([longest] * num_sequences, range(num_sequences))

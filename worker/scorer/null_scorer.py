"""A scorer without a model: a deterministic logit from a pair's texts.

For testing and measuring stores and queues. Imports no torch.
"""

import hashlib
from collections.abc import Callable, Sequence
from zlib import crc32

from rankmill.db.records.pairs import PairResults, PairScore, PairTexts
from rankmill.db.records.scorers import EngineFacts
from rankmill.db.records.telemetry import Telemetry
from rankmill.db.runtime.version import program_version
from rankmill.worker.errors import Stopped
from rankmill.worker.scorer.protocol import Prepared

CLAIM_TOKENS = 2**20
NUM_SPECIAL_TOKENS = 4
CHARS_PER_TOKEN = 4


class NullScorer:
    """Gives every pair a logit in [-8, 8) that depends on its two texts and on nothing else."""

    def __init__(self) -> None:
        digest = hashlib.sha256(b"rankmill null scorer 1").hexdigest()
        self.facts = EngineFacts(
            weights_digest=digest,
            tokenizer_digest=digest,
            device="cpu",
            dtype="float32",
            program_version=program_version(),
        )
        self.claim_tokens = CLAIM_TOKENS

    def prepare(self, requests: Sequence[PairTexts]) -> Prepared:
        return Prepared(requests)

    def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[PairResults]:
        results: list[PairResults] = []
        for request in prepared.requests:
            if should_stop():
                num_left = len(prepared.requests) - len(results)
                raise Stopped([*results, *[None] * num_left])
            results.append(_score(request))
        return results

    def take_counts(self) -> Telemetry:
        return Telemetry()


def _score(request: PairTexts) -> PairResults:
    checksums = {text_id: crc32(text.encode()) for text_id, text in request.texts.items()}
    lengths = {text_id: len(text) for text_id, text in request.texts.items()}
    scores = [
        PairScore(
            query_id,
            document_id,
            _logit(checksums[query_id], checksums[document_id]),
            0,
            lengths[document_id],
            NUM_SPECIAL_TOKENS + (lengths[query_id] + lengths[document_id]) // CHARS_PER_TOKEN,
            1,
            False,
            False,
        )
        for query_id, document_id in request.pairs
    ]
    return PairResults(scores=scores, failures=[], num_tokens=sum(score.num_tokens for score in scores))


def _logit(query_checksum: int, document_checksum: int) -> float:
    """Mixes two checksums. Only 24 bits, so that float32 and float64 hold the same number."""
    mixed = ((query_checksum * 0x9E3779B1) ^ document_checksum) * 0x85EBCA6B & 0xFFFFFFFF
    mixed ^= mixed >> 15
    return (mixed >> 8) / 2**20 - 8.0

"""Computes a stored score again and says whether the same number comes out.

Compares numbers and digests; knows no terminal and loads no model (a worker process does).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rankmill.db.records.scorers import spec_to_json
from rankmill.db.results.explanation import Explanation
from rankmill.db.runtime.settings import Settings
from rankmill.producer.processes.worker_command import ask_worker

# For each format of numbers: rounding in another order stays far below, another model is far above.
TOLERANCE = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1, "int8": 1e-1}


class Verdict(StrEnum):
    """How the new score compares with the stored one."""

    SAME = "the same to the last bit"
    AGREES = "agrees within rounding"
    DIFFERS = "differs"
    OTHER_FILES = "differs: the model's files are not those that gave the score"
    FAILS_AGAIN = "cannot be scored now either"
    SCORED_NOW = "can be scored now"
    NOT_RECOMPUTED = "not recomputed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreResult:
    """The new score. `problem` says why nothing was computed, `reason` why this pair has no score."""

    verdict: Verdict
    logit: float | None
    engine: dict[str, str] | None
    problem: str | None
    reason: str | None


def rescore(explanation: Explanation, settings: Settings) -> RescoreResult:
    """Scores the pair again on this machine with the same scorer, and compares."""
    question = {
        "scorer": spec_to_json(explanation.scorer),
        "query": explanation.query_text,
        "document": explanation.document_text,
    }
    answer = ask_worker(settings, explanation.scorer.model, ["rescore"], question)
    score = answer.get("score")
    return RescoreResult(
        verdict=_verdict(explanation, answer),
        logit=score["logit"] if score else None,
        engine=answer.get("engine"),
        problem=answer.get("problem"),
        reason=answer.get("reason"),
    )


def _verdict(explanation: Explanation, answer: dict[str, Any]) -> Verdict:
    if answer.get("problem") is not None:
        return Verdict.NOT_RECOMPUTED
    again, stored = answer.get("score"), explanation.score
    if stored is None:
        return Verdict.SCORED_NOW if again else Verdict.FAILS_AGAIN
    engine = answer["engine"]
    digests = ("weights_digest", "tokenizer_digest")
    if any(engine[name] != getattr(stored.engine, name) for name in digests):
        return Verdict.OTHER_FILES
    if again is None:
        return Verdict.DIFFERS
    if again["logit"] == stored.logit:
        return Verdict.SAME
    allowed = max(TOLERANCE.get(name, 1e-4) for name in (engine["dtype"], stored.engine.dtype))
    near = abs(again["logit"] - stored.logit) <= allowed * max(1.0, abs(stored.logit))
    return Verdict.AGREES if near else Verdict.DIFFERS

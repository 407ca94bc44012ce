"""Examines a model on this machine: loads it, says what it is, scores a little and measures how fast.

Knows the door to scorers and a few sentences; knows no store and no broker.
"""

import json
import resource
import sys
import time
from dataclasses import replace
from typing import Any

from rankmill.db.records.pairs import PairTexts, TextPair
from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.db.runtime.settings import Settings
from rankmill.db.scorers.identity import spec_from_settings
from rankmill.db.scorers.model_files import NULL_MODEL
from rankmill.worker.checks.smoke_checks import run_smoke_checks
from rankmill.worker.errors import WorkerError
from rankmill.worker.loading.load import load_scorer
from rankmill.worker.scorer.protocol import Scorer, score_once
from rankmill.worker.scorer.spread import is_spread

EXIT_OK, EXIT_MISSING_PREREQUISITE = 0, 3
NUM_PAIRS = 16
QUERY = "What ends the contract?"
CLAUSE = "Either party may end this contract by giving thirty days' notice in writing to the other party. "
NUM_CLAUSES = 10
NO_SPREAD = "it gives unlike pairs the same score; do not trust its rankings"


def examine(model: str | None, revision: str | None, precision: str | None, *, is_json: bool) -> int:
    """Prints what was found and returns the exit code: 3 when the model cannot be used, with the reason.

    An argument that is None is taken from the settings.
    """
    settings = Settings()
    spec = _spec(settings, model, revision, precision)
    found: dict[str, Any] = {"model": spec.model}
    try:
        started = time.monotonic()
        scorer = load_scorer(spec, batch_tokens=settings.batch_tokens)
        load_s = round(time.monotonic() - started, 2)
        found |= _facts(scorer) | _size(spec) | {"load_s": load_s} | _speed(scorer) | _memory(scorer)
        checks = run_smoke_checks(scorer)
        found["traps"] = [check._asdict() | {"is_passed": check.is_passed} for check in checks]
        logits = [logit for check in checks for logit in (check.right_logit, check.wrong_logit)]
        if not (is_spread(logits) and getattr(scorer, "tells_apart", True)):
            found["warning"] = NO_SPREAD
        exit_code = EXIT_OK
    except WorkerError as error:
        found["problem"] = str(error)
        exit_code = EXIT_MISSING_PREREQUISITE
    except Exception as error:  # whatever a library raises, a person gets a sentence
        found["problem"] = f"{type(error).__name__}: {error}"
        exit_code = EXIT_MISSING_PREREQUISITE
    lines = [json.dumps(found)] if is_json else _lines(found)
    sys.stdout.write("\n".join(lines) + "\n")
    return exit_code


def _spec(settings: Settings, model: str | None, revision: str | None, precision: str | None) -> ScorerSpec:
    named = {
        "model": model or settings.model,
        "revision": revision or settings.revision,
        "precision": Precision(precision) if precision else settings.precision,
    }
    return spec_from_settings(settings.model_copy(update=named))


def _lines(found: dict[str, Any]) -> list[str]:
    checks = found.pop("traps", [])
    lines = [f"{name}: {value}" for name, value in found.items()]
    for check in checks:
        verdict = "passed" if check["is_passed"] else "FAILED"
        lines.append(f"smoke check {check['language']}: {check['name']}: {verdict}")
    return lines


def _facts(scorer: Scorer) -> dict[str, object]:
    facts = scorer.facts
    found: dict[str, object] = {
        "device": facts.device,
        "dtype": facts.dtype,
        "weights_digest": facts.weights_digest,
        "tokenizer_digest": facts.tokenizer_digest,
        "claim_tokens": scorer.claim_tokens,
    }
    limits = getattr(scorer, "limits", None)  # the null scorer has none
    if limits is not None:
        found |= {"max_length": limits.max_length, "max_query_tokens": limits.max_query_tokens}
    return found


def _size(spec: ScorerSpec) -> dict[str, object]:
    """The model's dimensions, from its configuration."""
    if spec.model == NULL_MODEL:
        return {}
    from rankmill.worker.loading.files.checkpoint import find_checkpoint

    config = find_checkpoint(replace(spec, files_digest=None)).config
    named = {"class": "model_type", "layers": "num_hidden_layers", "hidden": "hidden_size"}
    return {name: config[key] for name, key in named.items() if key in config}


def _speed(scorer: Scorer) -> dict[str, object]:
    """Pairs and tokens a second with a few short documents: a sign of life and no benchmark."""
    _score(scorer, num_pairs=2)  # the first batch takes longer: some things are set up late
    started = time.monotonic()
    num_tokens = _score(scorer, num_pairs=NUM_PAIRS)
    seconds = max(time.monotonic() - started, 1e-6)
    return {"pairs_per_s": round(NUM_PAIRS / seconds, 1), "tokens_per_s": round(num_tokens / seconds)}


def _memory(scorer: Scorer) -> dict[str, object]:
    """The most memory used so far; of a GPU also its memory, what is free of it and the most used."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found: dict[str, object] = {"memory_mib": peak // (2**20 if sys.platform == "darwin" else 2**10)}
    if scorer.facts.device == "cuda":
        import torch

        free, total = torch.cuda.mem_get_info()
        used = torch.cuda.max_memory_reserved()
        amounts = {"gpu_memory_mib": total, "gpu_free_mib": free, "gpu_used_mib": used}
        found |= {name: amount // 2**20 for name, amount in amounts.items()}
    return found


def _score(scorer: Scorer, num_pairs: int) -> int:
    documents = {number: f"{number}. {CLAUSE * NUM_CLAUSES}" for number in range(1, num_pairs + 1)}
    pairs = [TextPair(0, number) for number in documents]
    return score_once(scorer, PairTexts(pairs=pairs, texts={0: QUERY} | documents)).num_tokens

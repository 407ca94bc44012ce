"""What the token budget of a batch does to the pace on this CPU: the same sequences, packed anew, in turn.

Random weights, real architecture; random tokens and no texts. Run: python -m benchmarks.engine.budgets
"""

import argparse
from pathlib import Path
from statistics import median

from benchmarks.engine.shortcuts import SIZES, mixed_batches, time_of
from benchmarks.peers.models import model_directory
from benchmarks.report import publish
from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.worker.batching.layout import Batch
from rankmill.worker.loading.load import load_scorer
from rankmill.worker.scorer.model_scorer import ModelScorer

BUDGETS = (1024, 2048, 4096, 8192, 16_384)
PRECISIONS = (Precision.FP32, Precision.BF16, Precision.INT8)
HEADER = ("model", "computed in", "budget", "batches", "tokens/s, median", "to the best")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--budgets", nargs="+", type=int, default=BUDGETS)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, type=Precision, default=PRECISIONS[:2])
    asked = parser.parse_args()
    rows: list[tuple[object, ...]] = []
    for size in asked.sizes:
        directory = model_directory(size)
        for precision in asked.precisions:
            scorer = scorer_of(directory, precision)
            batches = {
                budget: mixed_batches(asked.pairs, budget, scorer.forward.cost) for budget in asked.budgets
            }
            found = rows_of(scorer, batches, asked.rounds)
            rows += [(size, precision.value, *row) for row in found]
    publish("budgets", "The token budget of a batch, mixed lengths", HEADER, rows)


def scorer_of(directory: Path, precision: Precision) -> ModelScorer:
    scorer = load_scorer(ScorerSpec(model=str(directory), precision=precision), device="cpu")
    assert isinstance(scorer, ModelScorer)
    return scorer


def rows_of(
    scorer: ModelScorer, batches: dict[int, list[Batch]], num_rounds: int
) -> list[tuple[object, ...]]:
    seconds: dict[int, list[float]] = {budget: [] for budget in batches}
    for number in range(num_rounds + 1):
        for budget, packed in batches.items():
            spent = time_of(scorer.forward.encoder, packed)
            if number:  # the first round warms up
                seconds[budget].append(spent)
    paces = {
        budget: sum(batch.num_tokens for batch in packed) / median(seconds[budget])
        for budget, packed in batches.items()
    }
    best = max(paces.values())
    return [(budget, len(batches[budget]), pace, pace / best) for budget, pace in paces.items()]


if __name__ == "__main__":
    main()

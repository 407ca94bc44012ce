"""What smaller windows cost: the same contracts and questions in sequences of 8,192, 2,048 and 512 tokens.

A model of 6 layers x 384 with 8,192 positions and random weights, in one process without store or queue.
The seconds stand beside what the arithmetic of docs/measurements.md expects.
Run: python -m benchmarks.engine.windows --cuad DIR
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.engine.agreement import read
from benchmarks.jobs.nights import make_model
from benchmarks.report import publish
from rankmill.db.records.scorers import Precision, ScorerSpec, WindowEnds
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.scorer.model_scorer import ModelScorer, PreparedBatches
from tests.support.inputs.pair_texts import all_pairs, pair_texts

LAYERS, WIDTH = 6, 384
LENGTHS = (8192, 2048, 512)
CHARS = (60_000, 100_000)
"""Contracts of some 11,000 to 20,000 tokens: several sequences even of the longest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuad", type=Path, required=True, help="the data set in BEIR layout")
    parser.add_argument("--contracts", type=int, default=3)
    parser.add_argument("--questions", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    texts = read(asked.cuad, "corpus.jsonl")
    chosen = [texts[name] for name in (asked.cuad / "subset40.txt").read_text().split()]
    contracts = [text for text in chosen if CHARS[0] < len(text) < CHARS[1]][: asked.contracts]
    questions = list(read(asked.cuad, "queries.jsonl").values())[: asked.questions]
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder))
        scorers = {length: scorer_of(model, length) for length in LENGTHS}
    request = pair_texts(all_pairs(questions, contracts))
    prepared = {length: scorer.prepare([request]) for length, scorer in scorers.items()}
    seconds: dict[int, list[float]] = {length: [] for length in LENGTHS}
    for _ in range(asked.rounds):
        for length, scorer in scorers.items():
            seconds[length].append(time_of(scorer, prepared[length]))
    num_tokens = {length: sum(prepared[length].lengths) for length in LENGTHS}
    operations = {length: sum(map(operations_of, prepared[length].lengths)) for length in LENGTHS}
    first = LENGTHS[0]
    rows = [
        (
            f"{length:,}",
            len(prepared[length].lengths),
            num_tokens[length],
            median(seconds[length]),
            median(seconds[length]) / median(seconds[first]),
            operations[length] / operations[first],
            operations[length] / num_tokens[length] / 1e6,
        )
        for length in LENGTHS
    ]
    header = (
        "tokens of a sequence",
        "sequences",
        "tokens read",
        "seconds, median",
        "ratio of seconds",
        "ratio of operations",
        "million operations a token read",
    )
    document_tokens = sum(map(len, scorers[first].tokenizer.encode(dict(enumerate(contracts))).values()))
    notes = (
        f"{len(contracts)} contracts of {document_tokens:,} tokens together, each with {len(questions)} "
        f"of the questions; {asked.rounds} rounds in turn. "
        "Tokenising is not counted: it is the same for all. "
        "Operations are those of the layers: linear work for each token, attention by its sequence's length."
    )
    title = f"Smaller windows, a model of {LAYERS}x{WIDTH} with random weights, fp32"
    publish("windows", title, header, rows, notes)


def scorer_of(model: Path, max_length: int) -> ModelScorer:
    ends = WindowEnds.BOUNDARIES
    spec = ScorerSpec(model=str(model), precision=Precision.FP32, max_length=max_length, window_ends=ends)
    return assemble(spec, None, "cpu")


def time_of(scorer: ModelScorer, prepared: PreparedBatches) -> float:
    started = time.perf_counter()
    [result] = scorer.score(prepared, lambda: False)
    spent_s = time.perf_counter() - started
    assert not result.failures
    return spent_s


def operations_of(length: int) -> float:
    """Of one sequence, a multiplication and an addition counted as two.

    A layer has 12 width^2 weights a token, and attention takes 4 width more for each token of the sequence;
    of the last layer only keys and values (2 width^2) are computed for all.
    """
    linear = 2 * (12 * (LAYERS - 1) + 2) * WIDTH**2
    attention = 4 * (LAYERS - 1) * WIDTH * length
    return length * (linear + attention)


if __name__ == "__main__":
    main()

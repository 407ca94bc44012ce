"""Whether a pair's logit depends on its company: alone, among ten, among a thousand; and whether lists do.

    python -m benchmarks.engine.invariance DATA MODEL --precision fp32 int8 --queries 10 --depth 20

DATA is a folder in BEIR layout with `runs/bm25.top*.trec`. Each list's pairs are scored three times.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.engine.agreement import TOP, candidates, order, read
from benchmarks.report import publish
from rankmill.db.records.scorers import LongDocuments, Precision, ScorerSpec
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.scorer.protocol import Scorer
from tests.support.inputs.pair_texts import score_pairs

Pair = tuple[str, str]
COMPANY = {"alone": 1, "among 10": 10}


def chunks(pairs: Sequence[Pair], size: int) -> Iterable[Sequence[Pair]]:
    for start in range(0, len(pairs), size):
        yield pairs[start : start + size]


def in_chunks(scorer: Scorer, pairs: Sequence[Pair], size: int) -> list[float]:
    return [score.logit for chunk in chunks(pairs, size) for score in score_pairs(scorer, chunk)]


def lists_of(names: Sequence[Pair], logits: Sequence[float]) -> dict[str, list[str]]:
    """The best documents of each query."""
    rankings: dict[str, dict[str, float]] = {}
    for (query, document), logit in zip(names, logits, strict=True):
        rankings.setdefault(query, {})[document] = logit
    return {query: order(ranking)[:TOP] for query, ranking in rankings.items()}


def rows_of(
    scorer: Scorer, precision: Precision, names: Sequence[Pair], texts: Sequence[Pair], others: Sequence[Pair]
) -> list[tuple[object, ...]]:
    among_all = [score.logit for score in score_pairs(scorer, [*texts, *others])[: len(texts)]]
    rows: list[tuple[object, ...]] = []
    for company, size in COMPANY.items():
        logits = in_chunks(scorer, texts, size)
        largest = max(abs(one - other) for one, other in zip(logits, among_all, strict=True))
        lists, lists_among_all = lists_of(names, logits), lists_of(names, among_all)
        num_changed = sum(lists[query] != lists_among_all[query] for query in lists)
        against = f"{company} and among {len(texts) + len(others):,}"
        rows.append((precision.value, against, f"{largest:.1e}", f"{num_changed} of {len(lists)}"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("--precision", type=Precision, nargs="+", default=[Precision.FP32, Precision.INT8])
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--others", type=int, default=800)
    parser.add_argument("--device")
    asked = parser.parse_args()
    documents, queries = read(asked.data, "corpus.jsonl"), read(asked.data, "queries.jsonl")
    run = candidates(asked.data, 10**9, 100)
    every = [(query, document) for query, listed in run.items() for document in listed]
    chosen = set(list(run)[: asked.queries])
    names = [(query, document) for query in chosen for document in run[query][: asked.depth]]
    rest = [pair for pair in every if pair[0] not in chosen][: asked.others]
    texts, others = (
        [(queries[query], documents[document]) for query, document in pairs] for pairs in (names, rest)
    )
    rows = []
    for precision in asked.precision:
        spec = ScorerSpec(
            model=asked.model, precision=precision, max_length=256, long_documents=LongDocuments.TRUNCATE
        )
        rows += rows_of(assemble(spec, None, asked.device), precision, names, texts, others)
    title = f"The same {len(names):,} pairs in other company: {asked.data.name}, {Path(asked.model).name}"
    header = ("precision", "scored", "largest difference of logits", f"top-{TOP} lists that differ")
    publish("invariance", title, header, rows)


if __name__ == "__main__":
    main()

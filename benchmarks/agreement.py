"""Whether a number format keeps the ranking: scores a first-stage run twice and compares, query by query.

    python -m benchmarks.agreement DATA MODEL --precision bf16 --queries 20 --depth 15

DATA is a folder in BEIR layout with `runs/bm25.top100.trec`. The first scores are fp32.
"""

import argparse
import gzip
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.ranking import tau
from db.records import LongDocuments, Precision, ScorerSpec
from tests.support.works import score_pairs
from worker.assembly import assemble

TOP = 10
Ranking = dict[str, float]


def read(folder: Path, name: str) -> dict[str, str]:
    path = next(path for path in (folder / name, folder / f"{name}.gz") if path.is_file())
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [json.loads(line) for line in content.splitlines()]
    return {row["_id"]: " ".join(filter(None, [row.get("title"), row["text"]])) for row in rows}


def candidates(folder: Path, num_queries: int, depth: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (folder / "runs" / "bm25.top100.trec").read_text().splitlines():
        query, _, document, rank, *_ = line.split()
        if int(rank) <= depth and (query in found or len(found) < num_queries):
            found.setdefault(query, []).append(document)
    return found


def judged(folder: Path) -> dict[str, set[str]]:
    relevant: dict[str, set[str]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        if int(grade) > 0:
            relevant.setdefault(query, set()).add(document)
    return relevant


def order(scores: Ranking) -> list[str]:
    return sorted(scores, key=lambda name: (-scores[name], name))


def overlap(one: Ranking, other: Ranking) -> float:
    shared = set(order(one)[:TOP]) & set(order(other)[:TOP])
    return len(shared) / min(TOP, len(one))


def ndcg(scores: Ranking, relevant: set[str]) -> float:
    gained = sum(1 / math.log2(rank + 2) for rank, name in enumerate(order(scores)[:TOP]) if name in relevant)
    return gained / sum(1 / math.log2(rank + 2) for rank in range(min(TOP, len(relevant))))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def score_all(
    model: str,
    precision: Precision,
    pairs: Mapping[str, list[str]],
    texts: Mapping[str, str],
    max_length: int,
) -> dict[str, Ranking]:
    spec = ScorerSpec(
        model=model, precision=precision, max_length=max_length, long_documents=LongDocuments.TRUNCATE
    )
    scorer = assemble(spec, None, None)
    flat = [(query, document) for query, documents in pairs.items() for document in documents]
    started = time.monotonic()
    scores = score_pairs(scorer, [(texts[f"query {query}"], texts[document]) for query, document in flat])
    print(f"{precision}: {len(flat)} pairs in {time.monotonic() - started:.0f} s on {scorer.facts.device}")
    rankings: dict[str, Ranking] = {query: {} for query in pairs}
    for (query, document), score in zip(flat, scores, strict=True):
        rankings[query][document] = score.logit
    return rankings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("--precision", type=Precision, default=Precision.BF16)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--depth", type=int, default=30)
    parser.add_argument("--max-length", type=int, default=256)
    asked = parser.parse_args()
    pairs = candidates(asked.data, asked.queries, asked.depth)
    texts = read(asked.data, "corpus.jsonl")
    texts |= {f"query {name}": text for name, text in read(asked.data, "queries.jsonl").items()}
    exact, other = (
        score_all(asked.model, precision, pairs, texts, asked.max_length)
        for precision in (Precision.FP32, asked.precision)
    )
    relevant = judged(asked.data)
    with_answer = [query for query in pairs if relevant.get(query)]
    print(f"top-10 overlap  {mean([overlap(exact[query], other[query]) for query in pairs]):.3f}")
    print(f"Kendall's tau   {mean([tau(exact[query], other[query]) for query in pairs]):.4f}")
    for name, rankings in (("fp32", exact), (asked.precision.value, other)):
        found = mean([ndcg(rankings[query], relevant[query]) for query in with_answer])
        print(f"nDCG@10 {name:<7} {found:.4f} over {len(with_answer)} queries")
    largest = max(abs(exact[query][name] - other[query][name]) for query in pairs for name in exact[query])
    print(f"largest difference of logits {largest:.4f}")


if __name__ == "__main__":
    main()

"""Whether a number format keeps the ranking: scores a first-stage run in fp32 and in others and compares.

    python -m benchmarks.engine.agreement DATA MODEL --precision bf16 int8 --queries 20 --depth 15

DATA is a folder in BEIR layout with `runs/bm25.top*.trec`.
"""

import argparse
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.ranking import tau
from benchmarks.report import publish
from rankmill.db.records.scorers import LongDocuments, Precision, ScorerSpec
from rankmill.worker.loading.assemble import assemble
from tests.support.inputs.pair_texts import score_pairs

TOP = 10
Ranking = dict[str, float]


def read(folder: Path, name: str) -> dict[str, str]:
    path = next(path for path in (folder / name, folder / f"{name}.gz") if path.is_file())
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [json.loads(line) for line in content.splitlines()]
    return {row["_id"]: " ".join(filter(None, [row.get("title"), row["text"]])) for row in rows}


def candidates(folder: Path, num_queries: int, depth: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    run = next((folder / "runs").glob("bm25.top*.trec"))
    for line in run.read_text().splitlines():
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
    scores = score_pairs(scorer, [(texts[f"query {query}"], texts[document]) for query, document in flat])
    rankings: dict[str, Ranking] = {query: {} for query in pairs}
    for (query, document), score in zip(flat, scores, strict=True):
        rankings[query][document] = score.logit
    return rankings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("--precision", type=Precision, nargs="+", default=[Precision.BF16])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--depth", type=int, default=30)
    parser.add_argument("--max-length", type=int, default=256)
    asked = parser.parse_args()
    pairs = candidates(asked.data, asked.queries, asked.depth)
    texts = read(asked.data, "corpus.jsonl")
    texts |= {f"query {name}": text for name, text in read(asked.data, "queries.jsonl").items()}
    relevant = judged(asked.data)
    exact = score_all(asked.model, Precision.FP32, pairs, texts, asked.max_length)
    rows = [("fp32", *row_of(exact, exact, relevant))]
    for precision in asked.precision:
        found = score_all(asked.model, precision, pairs, texts, asked.max_length)
        rows.append((precision.value, *row_of(exact, found, relevant)))
    num_pairs, num_judged = sum(map(len, pairs.values())), sum(query in relevant for query in pairs)
    publish(
        "_".join(["agreement", asked.data.name, *(precision.value for precision in asked.precision)]),
        f"Rank agreement with fp32: {asked.data.name}, {Path(asked.model).name}",
        ("precision", "top-10 overlap", "Kendall's tau", "nDCG@10", "difference of logits: mean", "largest"),
        rows,
        f"{len(pairs)} queries, {num_judged} of them with a right answer, with the {asked.depth} best of "
        f"BM25's each: {num_pairs:,} pairs, cut at {asked.max_length} tokens.",
    )


def row_of(
    exact: Mapping[str, Ranking], other: Mapping[str, Ranking], relevant: Mapping[str, set[str]]
) -> tuple[object, ...]:
    gaps = [abs(exact[query][name] - other[query][name]) for query in exact for name in exact[query]]
    return (
        mean([overlap(exact[query], other[query]) for query in exact]),
        f"{mean([tau(exact[query], other[query]) for query in exact]):.4f}",
        f"{mean([ndcg(other[query], relevant[query]) for query in exact if query in relevant]):.4f}",
        f"{mean(gaps):.1e}",
        f"{max(gaps):.1e}",
    )


if __name__ == "__main__":
    main()

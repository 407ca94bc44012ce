"""The main job on real contracts: 4,100 candidate pairs of 510 contracts and 41 questions.

Measures `rankmill run` whole, and its ranking against BM25's candidates.
Run: python -m benchmarks.cuad --cuad DIR
"""

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks import processes
from benchmarks.ranking import ndcg_at_10, read_qrels
from benchmarks.report import publish


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuad", type=Path, required=True, help="the data set in BEIR layout")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--long-documents", default="windows")
    arguments = parser.parse_args()
    cuad: Path = arguments.cuad
    run_file = cuad / "runs" / "bm25.top100.trec"
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.jsonl"
        command = [*processes.RANKMILL, "run", "--corpus", str(cuad / "corpus.jsonl.gz")]
        command += ["--queries", str(cuad / "queries.jsonl"), "--candidates", str(run_file)]
        command += ["--model", arguments.model, "--long-documents", arguments.long_documents]
        command += ["--store", f"sqlite:///{folder}/store.db", "--output", str(output)]
        seconds, watched, _ = processes.run(command)
        results = [json.loads(line) for line in output.read_text().splitlines()]
    candidates = [line.split() for line in run_file.read_text().splitlines()]
    asked = {(fields[0], fields[2]) for fields in candidates}
    answered = {(result["query_id"], result["document_id"]) for result in results}
    ours: dict[str, list[str]] = defaultdict(list)
    for result in sorted(results, key=lambda result: result["rank"] or 10**9):
        ours[result["query_id"]].append(result["document_id"])
    bm25: dict[str, list[str]] = defaultdict(list)
    for fields in sorted(candidates, key=lambda fields: int(fields[3])):
        bm25[fields[0]].append(fields[2])
    qrels = read_qrels(cuad / "qrels" / "test.tsv")
    num_tokens = sum(result["num_tokens"] or 0 for result in results)
    rows: list[tuple[object, ...]] = [
        ("candidate pairs", len(candidates)),
        ("lines", len(results)),
        ("every candidate has exactly one line", str(asked == answered and len(results) == len(candidates))),
        ("seconds, everything included", seconds),
        ("tokens read by the model", num_tokens),
        ("tokens/s", int(num_tokens / seconds)),
        ("pairs read in more than one window", sum((result["num_windows"] or 0) > 1 for result in results)),
        ("pairs cut", sum(bool(result["truncated"]) for result in results)),
        ("nDCG@10 of these candidates in BM25's order", ndcg_at_10(bm25, qrels)),
        (f"nDCG@10 reranked by {arguments.model}", ndcg_at_10(ours, qrels)),
    ]
    rows += [
        (f"peak memory, {name.rsplit(' (', 1)[0]}, MB", int(size / 1e6))
        for name, size in watched.peak_bytes.items()
    ]
    notes = "The demonstration model saw 470 of the 510 contracts in training; its card has held-out figures."
    publish("cuad", "CUAD, BM25's top 100 for 41 questions, on one command", ("what", "figure"), rows, notes)


if __name__ == "__main__":
    main()

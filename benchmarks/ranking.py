"""nDCG@10 from result lines and qrels, and how far two rankings agree.

Knows TREC's definition: gain = grade, log2 discount.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

Qrels = dict[str, dict[str, int]]


def read_qrels(path: Path) -> Qrels:
    qrels: Qrels = defaultdict(dict)
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            qrels[row["query-id"]][row["corpus-id"]] = int(row["score"])
    return qrels


def ndcg_at_10(rankings: Mapping[str, Iterable[str]], qrels: Qrels) -> float:
    """The mean over queries that have a relevant document; documents without a grade count 0."""
    values = []
    for query_id, grades in qrels.items():
        ideal = _discounted(sorted(grades.values(), reverse=True)[:10])
        if ideal > 0:
            ranking = list(rankings.get(query_id, ()))[:10]
            values.append(_discounted([grades.get(document_id, 0) for document_id in ranking]) / ideal)
    return sum(values) / len(values)


def _discounted(grades: list[int]) -> float:
    return sum(grade / math.log2(position + 2) for position, grade in enumerate(grades))


def tau(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Kendall's tau of two scorings of the same documents; 1 where there is nothing to order."""
    signs = [(one[a] > one[b]) == (other[a] > other[b]) for a, b in combinations(one, 2)]
    return 2 * sum(signs) / len(signs) - 1 if signs else 1.0

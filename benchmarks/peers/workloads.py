"""What is scored: samples of real data sets where they are given, else texts of the same lengths.

A data set is a folder in BEIR layout. The example contracts give the made-up texts their words.
"""

import gzip
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.contestants.protocol import Pairs

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
DOCUMENTS_PER_QUERY = 8
QUESTIONS_PER_DOCUMENT = 8

DATA_SETS = {"short": "xquad-en", "mixed": "scifact", "long": "cuad"}
# Words of documents and queries of those data sets' candidates, at every twentieth.
DOCUMENT_WORDS = {
    "short": "28 74 85 90 96 98 102 106 112 117 124 126 131 137 148 160 171 185 198 232 512",
    "mixed": "33 127 145 157 163 170 183 196 206 214 224 236 248 258 266 275 288 310 345 395 1541",
    "long": "112 494 972 1658 2133 2454 2844 3262 3772 4208 5041 5752 6324 7339 8651 10214 11732 15474 18628 "
    "25300 47735",
}
QUERY_WORDS = {
    "short": "3 5 6 7 7 8 8 9 9 10 10 10 11 11 12 12 13 14 15 17 29",
    "mixed": "4 6 7 7 8 9 9 10 10 11 12 12 13 13 14 15 16 19 21 23 29",
    "long": "9 9 11 12 13 17 18 19 19 20 20 22 23 25 26 27 29 30 34 38 61",
}
NUM_QUESTIONS = 41


@dataclass(frozen=True)
class Workload:
    """Pairs in the order they come. Of each at most `max_length` tokens are read; `source` says whence."""

    name: str
    pairs: Pairs
    max_length: int
    source: str

    def first(self, num_pairs: int) -> "Workload":
        return replace(self, pairs=self.pairs[:num_pairs])

    def write(self, path: Path) -> str:
        path.write_text("".join(json.dumps(pair) + "\n" for pair in self.pairs), encoding="utf-8")
        return str(path)


def sampled(name: str, num_pairs: int, max_length: int, data: Path | None) -> Workload:
    """`num_pairs` of short or mixed: random queries with a few of their candidates each, query by query."""
    folder = _folder(name, data)
    chance = random.Random(f"{name} {num_pairs}")
    num_queries = max(1, num_pairs // DOCUMENTS_PER_QUERY)
    if folder is None:
        pairs = list(_made_up_pairs(name, num_queries, chance))
        return Workload(name, pairs, max_length, f"made up, lengths as in {DATA_SETS[name]}")
    documents, queries = _texts(folder, "corpus.jsonl"), _texts(folder, "queries.jsonl")
    run = next((folder / "runs").glob("bm25.top*.trec"))
    candidates: dict[str, list[str]] = {}
    for line in run.read_text().splitlines():
        query, _, document, *_ = line.split()
        candidates.setdefault(query, []).append(document)
    pairs = [
        (queries[query], documents[document])
        for query in chance.sample(sorted(candidates), num_queries)
        for document in chance.sample(candidates[query], min(DOCUMENTS_PER_QUERY, len(candidates[query])))
    ]
    return Workload(name, pairs, max_length, f"{folder.name}, {run.stem}")


def questioned(num_documents: int, max_length: int, data: Path | None) -> Workload:
    """`num_documents` contracts, spread evenly by length, with all 41 questions, question by question."""
    folder = _folder("long", data)
    if folder is None:
        contracts, questions = _made_up_contracts(), _questions()
        source = "made up, lengths as in cuad"
    else:
        contracts = list(_texts(folder, "corpus.jsonl").values())
        questions = list(_texts(folder, "queries.jsonl").values())
        source = folder.name
    contracts.sort(key=len)
    places = [int((place + 0.5) / num_documents * len(contracts)) for place in range(num_documents)]
    pairs = [(question, contracts[place]) for question in questions for place in places]
    return Workload(
        "long", pairs, max_length, f"{source}, {num_documents} contracts, {len(questions)} questions"
    )


def even(least: int, most: int, num_pairs: int) -> Workload:
    """Documents whose pairs have about `least` to `most` tokens, or exactly so many if the two are equal."""
    chance, text = random.Random(f"{least} {most}"), _Stream()
    questions = _questions()
    pairs: list[tuple[str, str]] = []
    while len(pairs) < num_pairs:
        # The made-up tokenizer has 1.17 tokens a word of these; what is too much is cut by the length.
        num_words = chance.uniform(least / 1.17, most / 1.17) if least < most else 2 * most
        document = text.stretch(int(num_words), chance)
        asked = chance.sample(questions, min(QUESTIONS_PER_DOCUMENT, num_pairs - len(pairs)))
        pairs += [(question, document) for question in asked]
    name = f"{least}-{most}" if least < most else f"{most}"
    return Workload(name, pairs, most, f"made up, {QUESTIONS_PER_DOCUMENT} questions to a document")


def vocabulary_texts(data: Path | None) -> Iterable[str]:
    """Texts whose words a made-up tokenizer should know."""
    yield " ".join(_Stream().words)
    for name in DATA_SETS:
        folder = _folder(name, data)
        if folder is not None:
            yield from _texts(folder, "corpus.jsonl").values()


class _Stream:
    """The example contracts' words, round and round."""

    def __init__(self) -> None:
        lines = (EXAMPLES / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
        self.words = [word for line in lines for word in json.loads(line)["text"].split()]

    def stretch(self, num_words: int, chance: random.Random) -> str:
        start = chance.randrange(len(self.words))
        rounds = (start + num_words) // len(self.words) + 1
        return " ".join((self.words * rounds)[start : start + num_words])


def _made_up_pairs(name: str, num_queries: int, chance: random.Random) -> Iterable[tuple[str, str]]:
    text = _Stream()
    for _ in range(num_queries):
        query = text.stretch(_drawn(QUERY_WORDS[name], chance), chance)
        for _ in range(DOCUMENTS_PER_QUERY):
            yield query, text.stretch(_drawn(DOCUMENT_WORDS[name], chance), chance)


def _made_up_contracts() -> list[str]:
    chance, text = random.Random("contracts"), _Stream()
    return [text.stretch(_drawn(DOCUMENT_WORDS["long"], chance), chance) for _ in range(100)]


def _questions() -> list[str]:
    chance, text = random.Random("questions"), _Stream()
    return [text.stretch(_drawn(QUERY_WORDS["long"], chance), chance) for _ in range(NUM_QUESTIONS)]


def _drawn(quantiles: str, chance: random.Random) -> int:
    """A number distributed so."""
    numbers = [int(number) for number in quantiles.split()]
    place = chance.random() * (len(numbers) - 1)
    lower = int(place)
    return round(numbers[lower] + (place - lower) * (numbers[lower + 1] - numbers[lower]))


def _folder(name: str, data: Path | None) -> Path | None:
    folder = data / DATA_SETS[name] if data else None
    return folder if folder and folder.is_dir() else None


def _texts(folder: Path, name: str) -> dict[str, str]:
    path = next(path for path in (folder / name, folder / f"{name}.gz") if path.is_file())
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows: list[dict[str, Any]] = [json.loads(line) for line in content.decode().split("\n") if line]
    return {row["_id"]: " ".join(filter(None, [row.get("title"), row["text"]])) for row in rows}

"""Reads the CUAD data set in BEIR layout: contracts, questions, labels and answer spans.

It knows the files of that folder and nothing of tokens or models. Contracts named in `subset40.txt` are the
held-out ones; everything else may be trained on.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

QUESTIONS = Path(__file__).with_name("questions.json")


@dataclass(frozen=True)
class Span:
    """An answer's place in the contract's text, in code points."""

    start: int
    end: int
    repeated: bool


@dataclass
class Contract:
    name: str
    text: str
    held_out: bool
    relevant: set[str] = field(default_factory=set)
    spans: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Question:
    """One clause category: the data set's own query, the phrasings to train on, and one kept back."""

    name: str
    category: str
    text: str
    phrasings: tuple[str, ...]
    kept_back: str


def read_contracts(folder: Path) -> list[Contract]:
    held_out = set((folder / "subset40.txt").read_text(encoding="utf-8").split())
    contracts = {
        row["_id"]: Contract(row["_id"], row["text"], row["_id"] in held_out)
        for row in _rows(folder / "corpus.jsonl.gz")
    }
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, name, grade = line.split("\t")
        if int(grade) > 0:
            contracts[name].relevant.add(query)
    for row in _rows(folder / "spans.jsonl.gz"):
        span = Span(row["start"], row["end"], row["occurrences"] > 1)
        contracts[row["doc_id"]].spans[row["query_id"]].append(span)
    return sorted(contracts.values(), key=lambda contract: contract.name)


def read_questions(folder: Path) -> list[Question]:
    """The 41 questions, each with the data set's own wordings and the paraphrases of `questions.json`."""
    paraphrases = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    questions = []
    for row in _rows(folder / "queries.jsonl"):
        category, own = row["metadata"]["category"], paraphrases[row["_id"]]
        wordings = [row["text"], category, row["metadata"]["description"], row["metadata"]["cuad_question"]]
        phrasings = tuple(dict.fromkeys([*wordings, *own["train"]]))
        questions.append(Question(row["_id"], category, row["text"], phrasings, own["kept_back"]))
    return questions


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for line in content.decode("utf-8").split("\n"):
        if line:
            yield json.loads(line)

"""Measures a model directory on the held-out contracts: nDCG@10 against BM25, and where its best windows lie.

It scores documents as the product does (overlapping windows, the highest logit counts) with its own few
lines; it imports nothing of the product, and knows nothing of how the model was trained.
"""

import argparse
import json
import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from training.contracts import Contract, Question, read_contracts, read_questions
from training.windows import SPECIAL_TOKENS, TokenisedContract, overlapping, pair_tokens, tokenise

DEPTH = 10
WINDOW = 512
PAIRS_AT_ONCE = 32
Best = tuple[float, tuple[int, int]]


def ndcg(scores: dict[str, float], relevant: set[str]) -> float:
    """nDCG@10 with binary gains; ties go by name so that the figure repeats."""
    ranked = sorted(scores, key=lambda name: (-scores[name], name))[:DEPTH]
    gained = sum(1 / math.log2(rank + 2) for rank, name in enumerate(ranked) if name in relevant)
    return gained / sum(1 / math.log2(rank + 2) for rank in range(min(DEPTH, len(relevant))))


def bm25(contracts: Sequence[Contract], query: str, k1: float = 0.9, b: float = 0.4) -> dict[str, float]:
    counts = {contract.name: Counter(_words(contract.text)) for contract in contracts}
    lengths = {name: sum(count.values()) for name, count in counts.items()}
    average = sum(lengths.values()) / len(lengths)
    scores = dict.fromkeys(counts, 0.0)
    for word in _words(query):
        frequency = sum(word in count for count in counts.values())
        weight = math.log(1 + (len(counts) - frequency + 0.5) / (frequency + 0.5))
        for name, count in counts.items():
            norm = k1 * (1 - b + b * lengths[name] / average)
            scores[name] += weight * count[word] / (count[word] + norm) if word in count else 0.0
    return scores


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


@torch.inference_mode()
def best_windows(
    model: PreTrainedModel, query: list[int], contracts: Sequence[TokenisedContract], window: int
) -> dict[str, Best]:
    """Each contract's highest logit and the tokens it was given for."""
    size = window - len(query) - SPECIAL_TOKENS
    cuts = [(contract, cut) for contract in contracts for cut in overlapping(len(contract.tokens), size)]
    cuts.sort(key=lambda pair: pair[1][1] - pair[1][0])
    best: dict[str, Best] = {}
    for first in range(0, len(cuts), PAIRS_AT_ONCE):
        part = cuts[first : first + PAIRS_AT_ONCE]
        rows = [pair_tokens(query, contract.tokens[start:end].tolist()) for contract, (start, end) in part]
        longest = max(map(len, rows))
        tokens = torch.tensor([row + [model.config.pad_token_id] * (longest - len(row)) for row in rows])
        mask = tokens != model.config.pad_token_id
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=tokens, attention_mask=mask.long()).logits.float().flatten().tolist()
        for (contract, cut), logit in zip(part, logits, strict=True):
            if contract.name not in best or logit > best[contract.name][0]:
                best[contract.name] = (logit, cut)
    return best


def rank_all(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contracts: Sequence[TokenisedContract],
    queries: dict[str, str],
    window: int = WINDOW,
) -> dict[str, dict[str, Best]]:
    model.eval()
    return {
        name: best_windows(model, tokenizer(text, add_special_tokens=False)["input_ids"], contracts, window)
        for name, text in queries.items()
    }


def mean_ndcg(rankings: dict[str, dict[str, float]], contracts: Sequence[Contract]) -> dict[str, float]:
    """nDCG@10 by question, for the questions that some contract answers."""
    figures = {}
    for question, scores in rankings.items():
        relevant = {contract.name for contract in contracts if question in contract.relevant}
        if relevant:
            figures[question] = ndcg(scores, relevant)
    return figures


def span_overlap(
    best: dict[str, dict[str, Best]], contracts: Sequence[TokenisedContract], chance: random.Random
) -> tuple[float, float]:
    """How often an answering contract's best window touches the answer, and how often a random one does."""
    hits, lucky, pairs, draws = 0, 0, 0, 20
    for question, found in best.items():
        for contract in contracts:
            if question not in contract.relevant or not contract.spans.get(question):
                continue
            start, end = found[contract.name][1]
            pairs += 1
            hits += contract.touches_answer(question, start, end)
            for _ in range(draws):
                elsewhere = chance.randint(0, max(0, len(contract.tokens) - (end - start)))
                lucky += contract.touches_answer(question, elsewhere, elsewhere + end - start)
    return hits / pairs, lucky / (pairs * draws)


def measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contracts: Sequence[Contract],
    questions: Sequence[Question],
    say: Callable[[str], None],
) -> dict[str, float]:
    """All figures of the model card for these contracts."""
    cut = tokenise(contracts, questions, tokenizer)
    wordings = {
        "own": {question.name: question.text for question in questions},
        "kept back": {question.name: question.kept_back for question in questions},
    }
    figures: dict[str, float] = {}
    for kind, queries in wordings.items():
        start = time.perf_counter()
        best = rank_all(model, tokenizer, cut, queries)
        scores = {name: {key: value[0] for key, value in found.items()} for name, found in best.items()}
        ours = mean_ndcg(scores, contracts)
        theirs = mean_ndcg({name: bm25(contracts, query) for name, query in queries.items()}, contracts)
        figures[f"ndcg10 {kind} wording"] = sum(ours.values()) / len(ours)
        figures[f"ndcg10 {kind} wording, bm25"] = sum(theirs.values()) / len(theirs)
        touched, lucky = span_overlap(best, cut, random.Random(0))
        figures[f"span overlap {kind} wording"], figures[f"span overlap {kind} wording, random"] = (
            touched,
            lucky,
        )
        if kind == "own":
            for name in ours:
                say(f"{name}  demo {ours[name]:.3f}  bm25 {theirs[name]:.3f}")
        say(f"{kind} wording: {time.perf_counter() - start:.0f} s")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the CUAD folder in BEIR layout")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForSequenceClassification.from_pretrained(options.model, dtype=torch.float32)
    contracts = [contract for contract in read_contracts(options.data) if contract.held_out]
    figures = measure(model, tokenizer, contracts, read_questions(options.data), print)
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=2))


if __name__ == "__main__":
    main()

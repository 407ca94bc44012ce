"""Finds the windows that fool the model: high logits for questions they do not answer.

It knows the model only as something that gives logits. Because a document counts as its best window, one such
window is enough to rank a contract wrongly, so these are what the next round of training sees most.
"""

import random
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from training.contracts import Question
from training.groups import GroupSampler, Place
from training.windows import SPECIAL_TOKENS, TokenisedContract, pair_tokens

LENGTH = 256
PAIRS_AT_ONCE = 64


@torch.inference_mode()
def mine(
    model: PreTrainedModel,
    contracts: Sequence[TokenisedContract],
    questions: Sequence[Question],
    sampler: GroupSampler,
    chance: random.Random,
    tried: int,
    kept: int,
) -> dict[str, list[Place]]:
    """For each question the `kept` highest-scoring of `tried` windows that do not answer it."""
    model.eval()
    found = {}
    for question in questions:
        query = sampler.query_tokens(chance.choice(question.phrasings))
        size = LENGTH - len(query) - SPECIAL_TOKENS
        places = _places(contracts, question.name, size, chance, tried)
        logits: list[float] = []
        for first in range(0, tried, PAIRS_AT_ONCE):
            rows = [
                pair_tokens(query, contracts[index].tokens[start : start + size].tolist())
                for index, start in places[first : first + PAIRS_AT_ONCE]
            ]
            with torch.autocast("cpu", torch.bfloat16):
                logits += model(input_ids=torch.tensor(rows)).logits.float().flatten().tolist()
        order = sorted(range(tried), key=lambda place: -logits[place])[:kept]
        found[question.name] = [Place(places[rank][0], places[rank][1] + size // 2) for rank in order]
    model.train()
    return found


def _places(
    contracts: Sequence[TokenisedContract], question: str, size: int, chance: random.Random, count: int
) -> list[tuple[int, int]]:
    weights = [max(0, len(contract.tokens) - size) for contract in contracts]
    places: list[tuple[int, int]] = []
    while len(places) < count:
        for index in chance.choices(range(len(contracts)), weights, k=count):
            start = chance.randint(0, weights[index])
            if contracts[index].is_negative(question, start, start + size):
                places.append((index, start))
    return places[:count]

"""Groups whose query is a handful of rare words from the window itself, so that any wording finds something.

The 41 questions alone would teach the model 41 kinds of clause and nothing about a question on, say, notices.
Here it learns that a window sharing the query's rare words is a better answer. It knows no question or label.
"""

import random
from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from training.windows import SPECIAL_TOKENS, UNMARKED, Pair, TokenisedContract

FRAGMENT = 24
FRAMES = [
    "{}",
    "{}",
    "What does the contract say about {}?",
    "Is there a clause on {}?",
    "Does it mention {}?",
]


class FragmentSampler:
    def __init__(
        self,
        contracts: Sequence[TokenisedContract],
        tokenizer: PreTrainedTokenizerBase,
        negatives: int,
        chance: random.Random,
    ) -> None:
        self._contracts = contracts
        self._tokenizer = tokenizer
        self._negatives = negatives
        self._chance = chance
        self._sizes = [len(contract.tokens) for contract in contracts]
        everything = np.concatenate([contract.tokens for contract in contracts])
        self._frequency = np.bincount(everything, minlength=len(tokenizer))
        pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        self._whole = [len(piece) > 3 and piece[0] == "▁" and piece[1:].isalpha() for piece in pieces]

    def group(self, length: int) -> list[Pair]:
        """Pairs of exactly `length` tokens: the query's own window, then windows without the fragment."""
        while True:
            index = self._chance.choices(range(len(self._contracts)), self._sizes)[0]
            place = self._chance.randint(0, max(0, self._sizes[index] - FRAGMENT))
            query = self._query(self._contracts[index].tokens[place : place + FRAGMENT].tolist())
            size = length - len(query) - SPECIAL_TOKENS
            if query and self._sizes[index] > 3 * size:
                break
        start = self._chance.randint(max(0, place + FRAGMENT - size), min(place, self._sizes[index] - size))
        pairs = [self._contracts[index].pair(query, UNMARKED, start, start + size)]
        while len(pairs) <= self._negatives:
            other = index if self._chance.random() < 0.5 else self._chance.randrange(len(self._contracts))
            elsewhere = self._chance.randint(0, max(0, self._sizes[other] - size))
            touches = other == index and elsewhere < place + FRAGMENT and place < elsewhere + size
            if elsewhere + size <= self._sizes[other] and not touches:
                pairs.append(self._contracts[other].pair(query, UNMARKED, elsewhere, elsewhere + size))
        return pairs

    def _query(self, fragment: list[int]) -> list[int]:
        words = [token for token in dict.fromkeys(fragment) if self._whole[token]]
        if len(words) < 4:
            return []
        rare = set(sorted(words, key=lambda token: self._frequency[token])[: self._chance.randint(1, 4)])
        phrase = self._tokenizer.decode([token for token in words if token in rare]).strip()
        text = self._chance.choice(FRAMES).format(phrase)
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

"""Draws the groups that the model learns from: one window with the answer against several without it.

It knows contracts, questions and which windows proved hard; it knows nothing of the model or its loss. Every
pair of a batch has exactly the same number of tokens, so a batch holds no padding.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from training.contracts import Question
from training.fragments import FragmentSampler
from training.windows import SPECIAL_TOKENS, Pair, TokenisedContract

NEGATIVES = 3
# What stands against the answer: hard windows, clauses of other kinds, the same contract, any. At first
# mostly clauses of other kinds, because the rest can be told from an answer without reading the query at all.
AT_FIRST = (0.0, 0.6, 0.2, 0.2)
LATER = (0.45, 0.2, 0.15, 0.2)
DROPPED_WORDS = 0.15
LONGEST_QUERY = 96
FRAGMENT_SHARE = 0.1


@dataclass(frozen=True)
class Place:
    """A window by its contract and middle token; how long it is, the batch decides."""

    contract: int
    middle: int


class GroupSampler:
    """Draws (question, window with the answer, windows without it), all from contracts one may train on."""

    def __init__(
        self,
        contracts: Sequence[TokenisedContract],
        questions: Sequence[Question],
        tokenizer: PreTrainedTokenizerBase,
        chance: random.Random,
    ) -> None:
        self.contracts = contracts
        self.questions = questions
        self.hard: dict[str, list[Place]] = {}
        self._tokenizer = tokenizer
        self._chance = chance
        self._fragments = FragmentSampler(contracts, tokenizer, NEGATIVES, chance)
        self._lengths = [len(contract.tokens) for contract in contracts]
        self._answered: dict[str, list[int]] = defaultdict(list)
        self._unanswered: dict[str, list[int]] = defaultdict(list)
        for index, contract in enumerate(contracts):
            for question in questions:
                if contract.spans.get(question.name):
                    self._answered[question.name].append(index)
                elif question.name not in contract.relevant:
                    self._unanswered[question.name].append(index)
        # The square root keeps the thirteen escrow clauses in sight without drilling them by heart.
        self._weights = [len(self._answered[question.name]) ** 0.5 for question in questions]

    def batch(self, groups: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and marks of groups x (1 + NEGATIVES) pairs, each group's answering window first."""
        pairs: list[Pair] = []
        while len(pairs) < groups * (1 + NEGATIVES):
            if self._chance.random() < FRAGMENT_SHARE:
                pairs += self._fragments.group(length)
            else:
                number = self._chance.choices(range(len(self.questions)), self._weights)[0]
                pairs += self._group(number, length)
        return torch.tensor([tokens for tokens, _ in pairs]), torch.tensor([marks for _, marks in pairs])

    def _group(self, number: int, length: int) -> list[Pair]:
        question = self.questions[number]
        query = self.query_tokens(self._chance.choice(question.phrasings))[: length // 2]
        size = length - len(query) - SPECIAL_TOKENS
        answer = self._answer(question.name, size)
        windows = [answer]
        while len(windows) <= NEGATIVES:
            found = self._negative(question.name, answer[0], size)
            if found:
                windows.append(found)
        return [self.contracts[index].pair(query, 1 << number, start, end) for index, start, end in windows]

    def query_tokens(self, text: str) -> list[int]:
        """The query's tokens, some of its words left out so that no single word carries a question."""
        words = text.split()
        if len(words) > 3:
            words = [word for word in words if self._chance.random() > DROPPED_WORDS] or words
        return self._tokenizer(" ".join(words), add_special_tokens=False)["input_ids"][:LONGEST_QUERY]

    def _answer(self, question: str, size: int) -> tuple[int, int, int]:
        while True:
            index = self._chance.choice(self._answered[question])
            first, last = self._chance.choice(self.contracts[index].spans[question])
            # Anywhere that shows the span, or at least its middle when the span is longer than the window.
            low, high = sorted((last - size, first))
            start = self._fitted(index, self._chance.randint(low, high), size)
            end = start + size
            if self.contracts[index].contains_answer(question, start, end) and end <= self._lengths[index]:
                return index, start, end

    def _negative(self, question: str, answered: int, size: int) -> tuple[int, int, int] | None:
        """One try at a window that does not answer; None where the try found one that might."""
        hard = self.hard.get(question, [])
        kind = self._chance.choices(["hard", "other", "same", "any"], LATER if hard else AT_FIRST)[0]
        if kind == "other":
            # A clause of another kind: only reading the query tells that it is the wrong one.
            other = self._chance.choice(self.questions).name
            return self._checked(question, *self._answer(other, size))
        if kind == "hard":
            place = self._chance.choice(hard)
            start = place.middle - size // 2 + self._chance.randint(-size // 4, size // 4)
            start = self._fitted(place.contract, start, size)
            return self._checked(question, place.contract, start, start + size)
        index = self._chance.choice(self._unanswered[question] or [answered]) if kind == "any" else answered
        start = self._chance.randint(0, max(0, self._lengths[index] - size))
        return self._checked(question, index, start, start + size)

    def _checked(self, question: str, index: int, start: int, end: int) -> tuple[int, int, int] | None:
        if end > self._lengths[index] or not self.contracts[index].is_negative(question, start, end):
            return None
        return index, start, end

    def _fitted(self, index: int, start: int, size: int) -> int:
        return max(0, min(start, self._lengths[index] - size))

"""Cuts tokenised contracts into windows and says what each window is to a question.

It knows token positions and answer spans; it knows nothing of queries' wording, of batches or of models.
The windows of `overlapping` are those the product scores, each sharing a quarter with the one before.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from transformers import PreTrainedTokenizerBase

from training.contracts import Contract, Question

OVERLAP = 4
SPECIAL_TOKENS = 4
START, END = 0, 2
UNMARKED = -1
Pair = tuple[list[int], list[int]]
"""The token ids of a pair, and the mark of each."""


@dataclass
class TokenisedContract:
    name: str
    tokens: np.ndarray
    held_out: bool
    relevant: set[str]
    spans: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    uncertain: set[str] = field(default_factory=set)
    """Questions whose answer (a name, a date) stands in more places than the one marked."""
    marks: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """For each token a bit per question: whether the token belongs to that question's answer."""

    def contains_answer(self, question: str, start: int, end: int) -> bool:
        """Whether tokens start..end hold half of a span, or as much of one as a short window can show."""
        for first, last in self.spans.get(question, ()):
            shared = min(end, last) - max(start, first)
            if shared > 0 and shared >= min((last - first) / 2, 24, (end - start) / 2):
                return True
        return False

    def touches_answer(self, question: str, start: int, end: int) -> bool:
        return any(first < end and start < last for first, last in self.spans.get(question, ()))

    def pair(self, query: list[int], mark: int, start: int, end: int) -> Pair:
        """The pair of a query and tokens start..end; `mark` says which question the query asks."""
        window, marks = self.tokens[start:end].tolist(), self.marks[start:end].tolist()
        beside = [mark, *[mark] * len(query), UNMARKED, UNMARKED, *marks, UNMARKED]
        return pair_tokens(query, window), beside

    def is_negative(self, question: str, start: int, end: int) -> bool:
        """Whether tokens start..end certainly do not answer the question."""
        if question not in self.relevant:
            return True
        return question not in self.uncertain and not self.touches_answer(question, start, end)


def tokenise(
    contracts: Sequence[Contract], questions: Sequence[Question], tokenizer: PreTrainedTokenizerBase
) -> list[TokenisedContract]:
    return [_tokenise(contract, questions, tokenizer) for contract in contracts]


def _tokenise(
    contract: Contract, questions: Sequence[Question], tokenizer: PreTrainedTokenizerBase
) -> TokenisedContract:
    encoded = tokenizer(
        contract.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False, truncation=False
    )
    offsets = np.asarray(encoded["offset_mapping"], dtype=np.int64).reshape(-1, 2)
    tokens = np.asarray(encoded["input_ids"], dtype=np.int64)
    result = TokenisedContract(contract.name, tokens, contract.held_out, contract.relevant)
    result.marks = np.zeros(len(tokens), dtype=np.int64)
    for number, question in enumerate(questions):
        for span in contract.spans.get(question.name, ()):
            first = int(np.searchsorted(offsets[:, 1], span.start, side="right"))
            last = int(np.searchsorted(offsets[:, 0], span.end, side="left"))
            result.spans[question.name].append((first, max(last, first + 1)))
            result.marks[first:last] |= 1 << number
            if span.repeated:
                result.uncertain.add(question.name)
    return result


def overlapping(length: int, size: int) -> list[tuple[int, int]]:
    """Windows of `size` tokens over `length` tokens, a quarter shared; the last one ends at the end."""
    if length <= size:
        return [(0, length)]
    step = size - size // OVERLAP
    starts = [*range(0, length - size, step), length - size]
    return [(start, start + size) for start in starts]


def pair_tokens(query: list[int], window: list[int]) -> list[int]:
    """XLM-R's pair template; as long as both parts and `SPECIAL_TOKENS`."""
    return [START, *query, END, END, *window, END]

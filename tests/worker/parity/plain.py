"""The reference: the usual code, stock tokenizer and stock model with padding, in fp32."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

CHUNK = 16


def stock(directory: Path) -> tuple[Any, Any]:
    model = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32)
    return AutoTokenizer.from_pretrained(directory), model.eval()


@torch.inference_mode()
def plain_logits(
    directory: Path, pairs: Sequence[tuple[str, str]], max_length: int | None = None
) -> list[float]:
    """Logits in the order of `pairs`; documents past `max_length` are cut at their end."""
    tokenizer, model = stock(directory)
    logits: list[float] = []
    for start in range(0, len(pairs), CHUNK):
        chunk = pairs[start : start + CHUNK]
        encoded = tokenizer(
            [query for query, _ in chunk],
            [document for _, document in chunk],
            padding=True,
            truncation="only_second",
            max_length=max_length,
            return_tensors="pt",
        )
        logits.extend(model(**encoded).logits.reshape(-1).tolist())
    return logits


@torch.inference_mode()
def plain_logit_of_ids(model: Any, ids: Sequence[int], types: Sequence[int] | None) -> float:
    """The stock model's logit of one sequence of ids."""
    inputs = {"input_ids": torch.tensor([list(ids)])}
    if types is not None:
        inputs["token_type_ids"] = torch.tensor([list(types)])
    logit: float = model(**inputs).logits.item()
    return logit

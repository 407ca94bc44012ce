"""What differs between the model families that run without padding: base, positions, pooling, head.

Every other sequence classifier of one label runs padded. Knows modules; knows no batch.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from rankmill.worker.model.modular import ModularCrossEncoder
from rankmill.worker.model.pooling import FIRST_TOKEN

Head = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Family:
    """How to reach a family's parts.

    `base` is the encoder's attribute. `head` makes a function from one pooled row per sequence to its logit.
    `pooling` says how a model pools, `is_offset` that positions count from the padding id + 1,
    `has_bert_layers` that its layers are made as BERT's.
    """

    base: str
    head: Callable[[Any], Head]
    is_offset: bool = False
    has_token_types: bool = True
    pooling: Callable[[Any], tuple[str, ...]] = lambda _: FIRST_TOKEN
    has_bert_layers: bool = True


def _roberta_head(model: Any) -> Head:
    classifier = _in_fp32(model.classifier)
    return lambda rows: classifier(rows.unsqueeze(1))


def _bert_head(model: Any) -> Head:
    pooler, classifier = _in_fp32(model.bert.pooler), _in_fp32(model.classifier)
    return lambda rows: classifier(pooler(rows.unsqueeze(1)))


def _modernbert_head(model: Any) -> Head:
    head, classifier = _in_fp32(model.head), _in_fp32(model.classifier)
    return lambda rows: classifier(head(rows))


def _modernbert_pooling(model: Any) -> tuple[str, ...]:
    return ("mean",) if model.config.classifier_pooling == "mean" else FIRST_TOKEN


def _modular_head(model: Any) -> Head:
    head: Head = _in_fp32(model.head)
    return head


def _modular_pooling(model: Any) -> tuple[str, ...]:
    modes: tuple[str, ...] = model.pooling
    return modes


def _in_fp32(module: nn.Module) -> Any:
    """A copy in fp32: a head is cheap, and logits rounded to half precision would tie."""
    return copy.deepcopy(module).float()


_ROBERTA = Family("roberta", _roberta_head, is_offset=True)
FAMILIES: dict[str, Family] = {
    "XLMRobertaForSequenceClassification": _ROBERTA,
    "RobertaForSequenceClassification": _ROBERTA,
    "CamembertForSequenceClassification": _ROBERTA,
    "ElectraForSequenceClassification": Family("electra", _roberta_head),
    "BertForSequenceClassification": Family("bert", _bert_head),
    "ModernBertForSequenceClassification": Family(
        "model",
        _modernbert_head,
        has_token_types=False,
        pooling=_modernbert_pooling,
        has_bert_layers=False,
    ),
}


def family_of(model: nn.Module) -> Family | None:
    """The family of a model, by its class; None when it must be padded.

    A modular cross-encoder is of its transformer's, with its own pooling and head.
    """
    if not isinstance(model, ModularCrossEncoder):
        return FAMILIES.get(type(model).__name__)
    classifier = type(model.base).__name__.removesuffix("Model") + "ForSequenceClassification"
    family = FAMILIES.get(classifier)
    return family and replace(family, base="base", head=_modular_head, pooling=_modular_pooling)


def first_position(config: Any, family: Family | None) -> int:
    """The number of a sequence's first position: RoBERTa's count from the padding id + 1."""
    return int(config.pad_token_id) + 1 if family is not None and family.is_offset else 0


def num_positions(model: Any) -> int:
    """How many tokens of one sequence the model can place: by its table of positions, where it has one."""
    for name, table in model.named_modules():
        if name.rpartition(".")[2] == "position_embeddings" and isinstance(table, nn.Embedding):
            return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
    named = int(getattr(model.config, "max_position_embeddings", 0) or 0)
    return named if named > 0 else 512


def attention_length(config: Any) -> int:
    """The sequence length at which attention costs as much as the linear layers."""
    hidden = int(getattr(config, "hidden_size", 768))
    return 2 * hidden + int(getattr(config, "intermediate_size", None) or 4 * hidden)

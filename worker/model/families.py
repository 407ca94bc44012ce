"""What differs between the model families that run without padding: base, positions, pooling, head.

Every other sequence classifier of one label runs padded. Knows modules; knows no batch.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Head = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Family:
    """How to reach a family's parts.

    `base` is the encoder's attribute. `head` makes a function from one pooled row per sequence to its logit.
    `is_offset` says that positions count from the padding id + 1, `has_bert_layers` that its layers are made
    as BERT's.
    """

    base: str
    head: Callable[[Any], Head]
    is_offset: bool = False
    has_token_types: bool = True
    may_pool_mean: bool = False
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
        "model", _modernbert_head, has_token_types=False, may_pool_mean=True, has_bert_layers=False
    ),
}


def family_of(model: nn.Module) -> Family | None:
    """The family of a model, by its class; None when it must be padded."""
    return FAMILIES.get(type(model).__name__)


def first_position(config: Any, family: Family | None) -> int:
    """The number of a sequence's first position: RoBERTa's count from the padding id + 1."""
    return int(config.pad_token_id) + 1 if family is not None and family.is_offset else 0


def num_positions(config: Any) -> int:
    """How many tokens of one sequence the model has positions for."""
    offset_types = ("xlm-roberta", "roberta", "camembert", "xlm-roberta-xl", "mpnet", "longformer")
    positions = int(getattr(config, "max_position_embeddings", 0) or 512)
    return positions - int(config.pad_token_id) - 1 if config.model_type in offset_types else positions


def attention_length(config: Any) -> int:
    """The sequence length at which attention costs as much as the linear layers."""
    hidden = int(getattr(config, "hidden_size", 768))
    return 2 * hidden + int(getattr(config, "intermediate_size", None) or 4 * hidden)


def pool(config: Any, family: Family, hidden: Tensor, bounds: Tensor) -> Tensor:
    """One fp32 row per sequence from (tokens, hidden): its first token's, or the mean where so configured."""
    if not (family.may_pool_mean and config.classifier_pooling == "mean"):
        return hidden.index_select(0, bounds[:-1]).float()
    lengths = bounds.diff()
    owners = torch.repeat_interleave(
        torch.arange(len(lengths), device=hidden.device), lengths, output_size=hidden.shape[0]
    )
    sums = hidden.new_zeros((len(lengths), hidden.shape[1]), dtype=torch.float32)
    return sums.index_add_(0, owners, hidden.float()) / lengths.unsqueeze(1)

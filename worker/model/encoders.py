"""From a batch to logits: the forward pass, without padding where the model's family allows it.

The only place that runs a model. Knows batches; knows no text and no pair.
"""

import copy
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from rankmill.worker.batching.layout import Batch
from rankmill.worker.model.attention.packed import Kernel, Segments, dense_by_length, find_runs
from rankmill.worker.model.families import Family
from rankmill.worker.model.layers.batch_invariance import CPU_SAFE_ROWS, in_row_blocks, rows_to_compute
from rankmill.worker.model.layers.packed import AfterAttention, PackedLayer, after_attention
from rankmill.worker.model.layers.shortcuts import with_shortcuts
from rankmill.worker.model.pooling import FIRST_TOKEN, pool


class Encoder(Protocol):
    """Computes one logit per sequence of a batch."""

    is_padded: bool

    def logits(self, batch: Batch) -> Tensor:
        """Float32 logits on the device, in the batch's order. Does not wait for the device."""

    def num_computed_tokens(self, batch: Batch) -> int:
        """How many tokens the model computes for this batch: its own, and padding or filler."""


class PackedEncoder:
    """Runs a model of a known family over all sequences laid end to end."""

    is_padded = False

    def __init__(self, model: nn.Module, family: Family, kernel: Kernel, device: torch.device) -> None:
        self.kernel = kernel
        self.min_rows = CPU_SAFE_ROWS
        self._family = family
        self._pooling = family.pooling(model)
        stock = getattr(model, family.base)
        self.has_packed_layers = family.has_bert_layers
        self._gives_first_tokens = self.has_packed_layers and self._pooling == FIRST_TOKEN
        self._base = with_shortcuts(stock, self._gives_first_tokens) if self.has_packed_layers else stock
        self.layers = layers_of(self._base)
        self._head = family.head(model)
        self._device = device

    @torch.inference_mode()
    def logits(self, batch: Batch) -> Tensor:
        flat = upload(batch, self._device)
        num_tokens = batch.num_tokens
        # On a CPU filler tokens may follow the others; no token attends to them.
        num_filler = self.num_computed_tokens(batch) - num_tokens
        rows = pad(flat[: 3 * num_tokens].view(3, 1, num_tokens), (0, num_filler))
        bounds = flat[3 * num_tokens :]
        lengths = batch.lengths.tolist()
        segments = Segments(bounds, find_runs(lengths), max(lengths), self.kernel)
        token_types = {"token_type_ids": rows[2]} if self._family.has_token_types else {}
        hidden = self._base(
            input_ids=rows[0], position_ids=rows[1], segments=segments, **token_types
        ).last_hidden_state
        if self._gives_first_tokens:
            pooled = hidden[0].float()
        else:
            pooled = pool(self._pooling, hidden[0, :num_tokens], bounds)
        return in_row_blocks(self._head, pooled).reshape(-1)

    def row_modules(self) -> Iterator[nn.Module]:
        """The modules that compute every token's row: all of the base model but a pooler."""
        for name, part in self._base.named_children():
            if name != "pooler":
                yield from part.modules()

    def num_computed_tokens(self, batch: Batch) -> int:
        if self._device.type != "cpu":
            return batch.num_tokens
        return rows_to_compute(batch.num_tokens, self.min_rows)

    def use_after_attention(self, function: AfterAttention) -> None:
        """Lets every layer but the last compute what follows attention by this function."""
        for layer in self.layers.modules():
            if isinstance(layer, PackedLayer):
                layer.after_attention = function

    def in_fp32(self) -> "PackedEncoder":
        """The same model in fp32, on the same device, for numbers that half precision cannot hold."""
        twin = copy.deepcopy(self)
        twin.kernel, twin.min_rows = dense_by_length, CPU_SAFE_ROWS
        twin.use_after_attention(after_attention)
        twin._base.float()
        return twin


class PaddedEncoder:
    """Runs any sequence classifier the ordinary way: sequences padded to the batch's longest."""

    is_padded = True

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self._model = model
        self.layers = layers_of(model.base_model)
        self._device = device
        config: Any = model.config
        self._padding_id = int(config.pad_token_id or 0)
        self._has_token_types = int(getattr(config, "type_vocab_size", 0) or 0) > 1
        keep_last_layer_fp32(model)

    @torch.inference_mode()
    def logits(self, batch: Batch) -> Tensor:
        flat = upload(batch, self._device).long()
        num_tokens = batch.num_tokens
        ids, _, types = flat[: 3 * num_tokens].view(3, num_tokens)
        lengths = flat[3 * num_tokens :].diff()
        longest = int(batch.lengths.max())
        mask = torch.arange(longest, device=self._device) < lengths.unsqueeze(1)
        inputs = {"input_ids": _padded(ids, mask, self._padding_id), "attention_mask": mask.long()}
        if self._has_token_types:
            inputs["token_type_ids"] = _padded(types, mask, 0)
        logits: Tensor = self._model(**inputs).logits
        return logits.float().reshape(-1)

    def num_computed_tokens(self, batch: Batch) -> int:
        return len(batch.indexes) * int(batch.lengths.max())

    def in_fp32(self) -> "PaddedEncoder":
        """The same model in fp32, on the same device, for numbers that half precision cannot hold."""
        return PaddedEncoder(copy.deepcopy(self._model).float(), self._device)


def layers_of(base: Any) -> nn.Module:
    """An encoder's layers, without the pooler that may stand beside them: that belongs to the head."""
    layers: nn.Module = getattr(base, "encoder", base)
    return layers


def pinned(batch: Batch) -> Batch:
    """The same batch in page-locked memory, from which a GPU copies without anyone waiting."""
    flat = torch.from_numpy(batch.flat).pin_memory().numpy()
    return Batch(batch.indexes, flat, batch.bounds)


def upload(batch: Batch, device: torch.device) -> Tensor:
    """The batch's numbers on the device, in one copy. From pinned memory nobody waits for it."""
    return torch.from_numpy(batch.flat).to(device, non_blocking=True)


def keep_last_layer_fp32(model: nn.Module) -> None:
    """Lets the layer that gives the logit compute in fp32: half precision would round logits."""
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    for linear in linears:
        if linear.out_features == 1 and linear.weight.dtype != torch.float32:
            linear.float()
            linear.register_forward_pre_hook(lambda _, args: (args[0].float(),))


def _padded(row: Tensor, mask: Tensor, fill: int) -> Tensor:
    padded = row.new_full(mask.shape, fill)
    return padded.masked_scatter_(mask, row)

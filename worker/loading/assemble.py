"""Puts a model's scorer together: files, tokenizer, weights, self-test, faster layers, budgets."""

import logging
from functools import partial

import torch

from rankmill.db.records.scorers import EngineFacts, Precision, ScorerSpec
from rankmill.db.runtime.version import program_version
from rankmill.worker.batching.layout import Layout
from rankmill.worker.batching.limits import limits_of
from rankmill.worker.batching.packing import Cost
from rankmill.worker.errors import QuantizationRefused
from rankmill.worker.loading.compile_layers import compile_layers
from rankmill.worker.loading.files.checkpoint import find_checkpoint
from rankmill.worker.loading.memory_fit import peak_bytes, tokens_within
from rankmill.worker.loading.precision import choose_device, choose_dtype
from rankmill.worker.loading.probes import Trial, longest_batch
from rankmill.worker.loading.row_trial import find_min_rows
from rankmill.worker.loading.self_test import checked_fp32, choose_encoder, try_alone
from rankmill.worker.loading.swap_layers import block_weights, quantize
from rankmill.worker.loading.tensors.weights import load_config, load_model
from rankmill.worker.loading.tokenizer import fit_to_model, load_tokenizer, template_of, tokenizer_limit
from rankmill.worker.model.encoders import Encoder, PackedEncoder
from rankmill.worker.model.families import attention_length, family_of, first_position, num_positions
from rankmill.worker.model.forward import Budget, Forward
from rankmill.worker.model.layers.blocked_linear import can_block
from rankmill.worker.scorer.model_scorer import ModelScorer
from rankmill.worker.tokenize.tokenizer import CachingTokenizer

log = logging.getLogger("rankmill.worker")

CPU_BATCH_TOKENS = 4096
CUDA_BATCH_TOKENS = 65_536
# On a CPU about a shard at a time; on a GPU enough for several batches.
CPU_CLAIM_TOKENS = 65_536
CUDA_CLAIM_BATCHES = 16


def assemble(spec: ScorerSpec, batch_tokens: int | None, device_name: str | None) -> ModelScorer:
    """Loads and checks all that a spec names. Raises a ModelError for whatever is wrong with the model."""
    device = choose_device(device_name)
    dtype = choose_dtype(spec.precision, device)
    checkpoint = find_checkpoint(spec)
    load_config(checkpoint)  # which tells what is wrong with it better than those after it
    stock_tokenizer = load_tokenizer(checkpoint)
    template = template_of(checkpoint, stock_tokenizer)
    model = load_model(checkpoint, device, dtype)
    config = model.config
    template = fit_to_model(checkpoint, stock_tokenizer, template, model)
    limits = limits_of(
        spec,
        num_positions=num_positions(model),
        tokenizer_limit=tokenizer_limit(checkpoint, stock_tokenizer),
        num_special_tokens=template.num_special_tokens,
    )
    family = family_of(model)
    tokenizer = CachingTokenizer(
        stock_tokenizer.backend_tokenizer, max_unsplit_tokens=limits.max_unsplit_tokens
    )
    layout = Layout(template, first_position(config, family))
    trial = try_alone(spec.model, model, layout, tokenizer, limits.max_length)
    encoder = choose_encoder(spec.model, model, family, trial)
    del model  # the stock modules hold weights that the encoder is about to store in another form
    is_int8 = spec.precision is Precision.INT8
    if is_int8 and (difference := quantize(encoder, trial)) is not None:
        raise QuantizationRefused(spec.model, difference)
    if not is_int8 and can_block(device, dtype):
        block_weights(encoder, trial)
    if isinstance(encoder, PackedEncoder):
        if device.type == "cuda":
            compile_layers(encoder, trial, batch_tokens)
        else:
            encoder.min_rows = find_min_rows(encoder.row_modules(), dtype)
    budget_tokens = batch_tokens or _fitting_batch_tokens(encoder, trial, device)
    cost = Cost(attention_length(config), encoder.is_padded)
    facts = EngineFacts(
        weights_digest=checkpoint.weights_digest(),
        tokenizer_digest=checkpoint.tokenizer_digest(),
        device=device.type,
        dtype="int8" if is_int8 else str(dtype).removeprefix("torch."),
        program_version=program_version(),
    )
    log.info(
        "scorer_loaded",
        extra={
            "fields": {
                "model": spec.model,
                "device": facts.device,
                "dtype": facts.dtype,
                "max_length": limits.max_length,
                "batch_tokens": budget_tokens,
                "is_padded": encoder.is_padded,
            }
        },
    )
    is_cuda = device.type == "cuda"
    return ModelScorer(
        facts=facts,
        claim_tokens=CUDA_CLAIM_BATCHES * budget_tokens if is_cuda else CPU_CLAIM_TOKENS,
        tokenizer=tokenizer,
        limits=limits,
        layout=layout,
        forward=Forward(encoder, cost, Budget(budget_tokens)),
        device=device,
        make_fp32=None if dtype == torch.float32 else partial(checked_fp32, encoder, trial),
        prompt=checkpoint.modules.prompt,
        tells_apart=trial.tells_apart,
    )


def _fitting_batch_tokens(encoder: Encoder, trial: Trial, device: torch.device) -> int:
    """The fastest: for a CPU's caches small batches, for a GPU large ones, in half its free memory."""
    if device.type != "cuda":
        return CPU_BATCH_TOKENS

    def measure(num_tokens: int) -> tuple[int, int]:
        batch = longest_batch(trial.layout, trial.probe, trial.max_length, num_tokens)
        return batch.num_tokens, peak_bytes(encoder, batch, device)

    torch.cuda.empty_cache()  # the trials before left cached memory that is free
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return tokens_within(free_bytes // 2, CUDA_BATCH_TOKENS, measure)

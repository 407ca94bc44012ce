"""Puts a model scorer together: files, tokenizer, weights, self-test, budgets."""

import logging
from functools import partial

import torch

from rankmill.db.records.scorers import EngineFacts, Precision, ScorerSpec
from rankmill.db.runtime.version import program_version
from rankmill.worker.batching.layout import Layout
from rankmill.worker.batching.limits import limits_of
from rankmill.worker.batching.packing import Cost
from rankmill.worker.errors import QuantizationRefused
from rankmill.worker.loading.compile import compile_layers
from rankmill.worker.loading.files.checkpoint import find_checkpoint
from rankmill.worker.loading.memory_fit import peak_bytes, tokens_within
from rankmill.worker.loading.precision import choose_device, choose_dtype
from rankmill.worker.loading.probes import Trial, longest_sequences
from rankmill.worker.loading.row_trial import fewest_rows
from rankmill.worker.loading.self_test import choose_encoder, exact_twin, try_alone
from rankmill.worker.loading.swap_layers import lay_in_blocks, quantize
from rankmill.worker.loading.tensors.weights import load_config, load_model
from rankmill.worker.loading.tokenizer import fit_to_model, load_tokenizer, template_of, tokenizer_limit
from rankmill.worker.model.encoders import Encoder, PackedEncoder
from rankmill.worker.model.families import attention_length, family_of, first_position, num_positions
from rankmill.worker.model.forward import Budget, Forward
from rankmill.worker.model.layers.blocked_linear import can_block
from rankmill.worker.scorer.model_scorer import ModelScorer
from rankmill.worker.tokenize.tokenizer import Tokenization

log = logging.getLogger("rankmill.worker")

CPU_BATCH_TOKENS = 4096
CUDA_BATCH_TOKENS = 65_536
# A CPU claims about a shard at a time; a GPU enough for several batches.
CPU_CLAIM_TOKENS = 65_536
CUDA_CLAIM_BATCHES = 16


def assemble(spec: ScorerSpec, batch_tokens: int | None, device_name: str | None) -> ModelScorer:
    """Load and check everything a spec names. Raises ModelErrors."""
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
    tokenization = Tokenization(stock_tokenizer.backend_tokenizer, max_uncut_tokens=limits.max_uncut_tokens)
    layout = Layout(template, first_position(config, family))
    trial = try_alone(spec.model, model, layout, tokenization, limits.max_length)
    encoder = choose_encoder(spec.model, model, family, trial)
    del model  # the stock modules hold weights that the encoder is about to lay otherwise
    is_int8 = spec.precision is Precision.INT8
    if is_int8 and (difference := quantize(encoder, trial)) is not None:
        raise QuantizationRefused(spec.model, difference)
    if not is_int8 and can_block(device, dtype):
        lay_in_blocks(encoder, trial)
    if isinstance(encoder, PackedEncoder):
        if device.type == "cuda":
            compile_layers(encoder, trial, batch_tokens)
        else:
            encoder.least_rows = fewest_rows(encoder.modules_of_rows(), dtype)
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
        tokenization=tokenization,
        limits=limits,
        layout=layout,
        forward=Forward(encoder, cost, Budget(budget_tokens)),
        device=device,
        make_exact=None if dtype == torch.float32 else partial(exact_twin, encoder, trial),
        prompt=checkpoint.modules.prompt,
        tells_apart=trial.tells_apart,
    )


def _fitting_batch_tokens(encoder: Encoder, trial: Trial, device: torch.device) -> int:
    """As large as pays: a CPU's caches like small batches, a GPU large ones within half its free memory."""
    if device.type != "cuda":
        return CPU_BATCH_TOKENS

    def needs(num_tokens: int) -> tuple[int, int]:
        batch = longest_sequences(trial.layout, trial.probe, trial.max_length, num_tokens)
        return batch.num_tokens, peak_bytes(encoder, batch, device)

    torch.cuda.empty_cache()  # trials left something there that is free
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return tokens_within(free_bytes // 2, CUDA_BATCH_TOKENS, needs)

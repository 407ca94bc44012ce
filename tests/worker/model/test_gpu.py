"""What holds on a CUDA device; skipped without one."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters

from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.loading.compile_layers import compiled_after_attention
from rankmill.worker.model.attention.packed import dense_by_length
from rankmill.worker.model.attention.varlen import has_flash_3, memory_efficient, varlen, varlen_flash_3
from rankmill.worker.model.encoders import PackedEncoder
from rankmill.worker.scorer.model_scorer import ModelScorer
from tests.support.inputs.pair_texts import all_pairs, pair_texts, score_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES, STRANGE
from tests.worker.conftest import ModelDirectory
from tests.worker.parity.plain import plain_logits

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

PAIRS = all_pairs(QUERIES, [*DOCUMENTS, *STRANGE])
FAMILIES = ["xlm-roberta", "bert", "modernbert", "modernbert-mean", "roberta", "deberta"]


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds for every model; the test that is about it calls it."""
    monkeypatch.setattr("rankmill.worker.loading.assemble.compile_layers", lambda *_: None)


def on_gpu(directory: Path, precision: Precision, batch_tokens: int | None = None) -> ModelScorer:
    return assemble(ScorerSpec(model=str(directory), precision=precision), batch_tokens, "cuda")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("precision", "tolerance"), [(Precision.FP32, 1e-3), (Precision.FP16, 3e-2)])
def test_logits_agree_with_a_plain_padded_run_on_the_cpu(
    model_directory: ModelDirectory, family: str, precision: Precision, tolerance: float
) -> None:
    found = [score.logit for score in score_pairs(on_gpu(model_directory(family), precision), PAIRS)]
    expected = np.asarray(plain_logits(model_directory(family), PAIRS))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(1.0, np.abs(expected).max()))


def test_auto_is_fp16_through_the_fast_kernel(model_directory: ModelDirectory) -> None:
    scorer = on_gpu(model_directory("xlm-roberta"), Precision.AUTO)
    assert (scorer.facts.device, scorer.facts.dtype) == ("cuda", "float16")
    encoder = scorer.forward.encoder
    assert isinstance(encoder, PackedEncoder)
    capability = torch.cuda.get_device_capability()
    flash = varlen_flash_3 if capability[0] == 9 and has_flash_3() else varlen
    assert encoder.kernel is (flash if capability >= (8, 0) else memory_efficient)


def test_in_fp32_the_kernel_is_not_the_slow_one(model_directory: ModelDirectory) -> None:
    encoder = on_gpu(model_directory("bert"), Precision.FP32).forward.encoder
    assert isinstance(encoder, PackedEncoder)
    assert encoder.kernel is not dense_by_length


def test_compiled_layers_give_the_same_logits_by_one_graph_for_all_numbers_of_tokens(
    model_directory: ModelDirectory,
) -> None:
    scorer = on_gpu(model_directory("xlm-roberta"), Precision.FP16)
    encoder = scorer.forward.encoder
    assert isinstance(encoder, PackedEncoder)
    expected = [score.logit for score in score_pairs(scorer, PAIRS)]
    counters.clear()
    encoder.use_after_attention(compiled_after_attention())
    for pairs in (PAIRS, PAIRS[:1], PAIRS[:7], PAIRS * 20):
        found = [score.logit for score in score_pairs(scorer, pairs)]
        spread = max(1.0, max(map(abs, expected)))
        np.testing.assert_allclose(found, (expected * 20)[: len(pairs)], rtol=0, atol=2e-2 * spread)
    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize("family", ["xlm-roberta", "bert", "modernbert"])
def test_a_logit_hardly_depends_on_its_company(model_directory: ModelDirectory, family: str) -> None:
    scorer = on_gpu(model_directory(family), Precision.FP16)
    among_all = [score.logit for score in score_pairs(scorer, PAIRS)]
    alone = [score_pairs(scorer, [pair])[0].logit for pair in PAIRS[:20]]
    spread = max(1.0, max(map(abs, among_all)))
    np.testing.assert_allclose(alone, among_all[:20], rtol=0, atol=2e-3 * spread)


def test_long_documents_are_read_in_windows(model_directory: ModelDirectory) -> None:
    directory = model_directory("xlm-roberta")
    spec = ScorerSpec(model=str(directory), precision=Precision.FP16, window=100, stride=50)
    (found,) = score_pairs(assemble(spec, None, "cuda"), [(QUERIES[0], LONG)])
    cpu_spec = ScorerSpec(model=str(directory), precision=Precision.FP32, window=100, stride=50)
    (expected,) = score_pairs(assemble(cpu_spec, None, "cpu"), [(QUERIES[0], LONG)])
    assert found.num_windows == expected.num_windows
    assert math.isclose(found.logit, expected.logit, abs_tol=5e-2)


def test_a_batch_as_large_as_was_found_at_start_fits_and_counts_as_one(
    model_directory: ModelDirectory,
) -> None:
    scorer = on_gpu(model_directory("xlm-roberta"), Precision.FP16)
    assert 1024 <= scorer.forward.budget.tokens <= 65_536
    scorer.take_counts()
    request = pair_texts(PAIRS[:200] * 40)
    (result,) = scorer.score(scorer.prepare([request]), lambda: False)
    counts = scorer.take_counts()
    assert len(result.failures) == 0
    assert counts.num_computed_tokens == counts.num_tokens, "a GPU needs no idle rows"


def test_a_device_that_really_runs_out_of_memory_is_lived_through(model_directory: ModelDirectory) -> None:
    scorer = on_gpu(model_directory("xlm-roberta"), Precision.FP32, batch_tokens=2**24)
    expected = [score.logit for score in score_pairs(scorer, PAIRS[:200])]
    free, total = torch.cuda.mem_get_info()
    kept = total - free
    prepared = scorer.prepare([pair_texts(PAIRS[:200] * 40)])
    torch.cuda.empty_cache()
    try:
        torch.cuda.set_per_process_memory_fraction(min(1.0, (kept + 24 * 2**20) / total))
        (result,) = scorer.score(prepared, lambda: False)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    found = {score[:2]: score.logit for score in result.scores}
    assert len(result.failures) == 0
    request = pair_texts(PAIRS[:200])
    assert [found[pair] for pair in request.pairs] == pytest.approx(expected, abs=1e-3)

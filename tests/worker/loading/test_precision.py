from pathlib import Path

import numpy as np
import pytest
import torch

from rankmill.db.records.scorers import Precision
from rankmill.worker.errors import PrecisionUnsupported
from rankmill.worker.loading.precision import choose_device, choose_dtype, cpu_computes_bf16
from tests.support.inputs.pair_texts import all_pairs, score_pairs
from tests.support.inputs.texts import DOCUMENTS, QUERIES
from tests.worker.conftest import LoadScorer, ModelDirectory
from tests.worker.parity.plain import plain_logits

CPU = torch.device("cpu")


def test_fp16_on_a_cpu_is_refused(load: LoadScorer) -> None:
    with pytest.raises(PrecisionUnsupported, match=r"fp16 is not supported on the CPU.*--precision auto"):
        load("bert", precision=Precision.FP16)


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 amx_tile", True),
        ("flags\t\t: fpu avx2 amx_bf16", True),
        ("processor\t: 0\nflags\t\t: fpu vme avx2 avx512f\nbugs\t: x", False),
        ("Features\t: fp asimd i8mm bf16", True),
        ("", False),
    ],
)
def test_bf16_is_chosen_where_the_cpu_has_it(tmp_path: Path, description: str, expected: bool) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(description)
    assert cpu_computes_bf16(path) is expected


def test_a_cpu_that_does_not_describe_itself_computes_in_fp32(tmp_path: Path) -> None:
    assert not cpu_computes_bf16(tmp_path / "nothing")


def test_auto_is_the_fastest_exact_enough_the_device_has() -> None:
    expected = torch.bfloat16 if cpu_computes_bf16() else torch.float32
    assert choose_dtype(Precision.AUTO, CPU) is expected
    assert choose_dtype(Precision.AUTO, torch.device("cuda")) is torch.float16


def test_asked_for_precision_is_given() -> None:
    assert choose_dtype(Precision.FP32, CPU) is torch.float32
    assert choose_dtype(Precision.BF16, CPU) is torch.bfloat16
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("family", ["xlm-roberta", "bert", "modernbert", "deberta"])
def test_bf16_logits_are_near_fp32_and_are_not_rounded_to_bf16(
    load: LoadScorer, model_directory: ModelDirectory, family: str
) -> None:
    pairs = all_pairs(QUERIES, DOCUMENTS)
    scorer = load(family, precision=Precision.BF16)
    assert scorer.facts.dtype == "bfloat16"
    found = np.asarray([score.logit for score in score_pairs(scorer, pairs)])
    expected = np.asarray(plain_logits(model_directory(family), pairs))
    assert np.abs(found - expected).mean() < 0.1 * expected.std()
    rounded = torch.from_numpy(found).bfloat16().double().numpy()
    assert (found != rounded).mean() > 0.9, "ties are what rounding makes"

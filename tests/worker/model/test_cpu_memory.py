"""A CPU whose process may have no more memory: the same event as on a GPU, where there is really none."""

import json
import subprocess
import sys

import pytest
import torch

from rankmill.worker.model.out_of_memory import is_onednn_refusal, is_out_of_memory
from tests.support.repository import ROOT
from tests.worker.conftest import ModelDirectory

PROGRAM = """
import json, logging, resource, sys
import torch
from rankmill.db.records.scorers import Precision, ScorerSpec
from tests.support.inputs.texts import DOCUMENTS, QUERIES
from tests.support.inputs.pair_texts import all_pairs, pair_texts
from rankmill.worker.loading.assemble import assemble

events = []
class Ear(logging.Handler):
    def emit(self, record):
        events.append(record.getMessage())
logging.getLogger("rankmill.worker").addHandler(Ear())
torch.set_num_threads(1)
scorer = assemble(ScorerSpec(model=sys.argv[1], precision=Precision.FP32), 2**30, "cpu")
pairs = all_pairs(QUERIES, DOCUMENTS)
prepared = scorer.prepare([pair_texts(pairs * 30)])
assert len(prepared.batches) == 1
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 40 * 2**20
before = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
(result,) = scorer.score(prepared, lambda: False)
resource.setrlimit(resource.RLIMIT_AS, before)
print(json.dumps({
    "events": events,
    "num_failures": len(result.failures),
    "num_scores": len(result.scores),
    "num_pairs": len(prepared.sequences),
}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_process_that_gets_no_more_memory_splits_its_batches_and_scores_every_pair(
    model_directory: ModelDirectory,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model_directory("bert"))],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert "out_of_memory" in found["events"]
    assert found["num_failures"] == 0
    assert found["num_scores"] == found["num_pairs"] > 1000


def test_a_refusal_of_onednn_is_told_from_lack_of_memory() -> None:
    refusal = RuntimeError("could not create a primitive")
    assert is_onednn_refusal(refusal)
    assert not is_out_of_memory(refusal)
    assert not is_onednn_refusal(RuntimeError("could not create a primitive descriptor for matmul"))


def test_only_the_allocator_s_own_words_are_taken_for_lack_of_memory() -> None:
    said = "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to …"
    assert is_out_of_memory(RuntimeError(said))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError(said))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)

"""The peak memory of the engine by model and batch budget, each in a process of its own."""

from pathlib import Path

from benchmarks.peers.contest import Contest, say, scratch
from benchmarks.peers.line_up import OURS, ours
from benchmarks.peers.models import size_of
from benchmarks.peers.parts.article import memory_mb
from benchmarks.peers.plan import Plan
from benchmarks.peers.workloads import even
from benchmarks.report import publish

CPU_BUDGETS = (1024, 4096, 16_384)
CUDA_BUDGETS = (8192, 32_768, 65_536)
HEADER = ("batch budget, tokens", "computed in", "peak memory, MB", "of that when loaded", "tokens/s")


def measure(plan: Plan, size: str) -> None:
    budgets = CUDA_BUDGETS if plan.is_cuda else CPU_BUDGETS
    num_pairs = 2 * max(budgets) // 512 if plan.is_cuda else max(budgets) // 512
    workload = even(256, 512, num_pairs)
    terms = plan.terms(size, workload.max_length)
    table: list[tuple[object, ...]] = []
    for budget in budgets:
        entries = [ours("auto", f"batch-tokens={budget}")]
        with scratch() as folder, Contest(entries, terms, Path(folder)) as contest:
            contest.run(workload, 1)
            engine = contest.named(OURS)
            if engine.seconds is None:
                say(f"budget {budget}: {engine.out}")
                continue
            loaded = int(engine.hello.get("load_peak_bytes", 0) / 1e6)
            rate = int(sum(engine.last["lengths"]) / engine.seconds)
            table.append((budget, engine.last["precision"], memory_mb(engine), loaded, rate))
    num_layers, width, _ = size_of(terms.model)
    what = "reserved on the device" if plan.is_cuda else "of the process, Python and PyTorch included"
    publish(
        f"memory_{plan.place}_{Path(size).name}",
        f"{size}: memory of the engine by batch budget on {plan.place}",
        HEADER,
        table,
        f"{num_layers} layers of {width} with 250,002 tokens in the vocabulary; memory {what}. The column of "
        "what was there when loaded is the process's. RANKMILL_BATCH_TOKENS sets the budget.",
    )

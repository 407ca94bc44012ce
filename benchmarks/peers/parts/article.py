"""The founding article's table on the device that is here: one pair at a time and four, whole and in half
precision, with latency and memory.
"""

from pathlib import Path
from statistics import median

from benchmarks.peers.contest import Contest, Contestant, own_precision, scratch
from benchmarks.peers.line_up import Entry, ours, usual
from benchmarks.peers.plan import Plan
from benchmarks.peers.workloads import even
from benchmarks.report import publish

PAIR_TOKENS = 512
BATCHES = (1, 4)
HEADER = ("setting", "who", "latency, ms, median", "95th percentile", "memory, MB")
ARTICLE = (
    "The article, on an NVIDIA T4 with BGE-Reranker-v2-m3, lengths not stated: FP32 batch 1 180 ms and "
    "2,100 MB, FP16 batch 1 95 ms and 1,950 MB, FP16 batch 4 130 ms and 2,000 MB."
)


def measure(plan: Plan, size: str) -> None:
    half, reason = _half(plan, size)
    table = [row for precision in ("fp32", half) if precision for row in rows(plan, size, precision)]
    publish(
        f"article_{plan.place}_{Path(size).name}",
        f"{size}: the founding article's settings on {plan.place}",
        HEADER,
        table,
        f"Pairs of {PAIR_TOKENS} tokens, tokenising included. {_memory_says(plan)} {reason}\n\n{ARTICLE}",
    )


def rows(plan: Plan, size: str, precision: str) -> list[tuple[object, ...]]:
    """Of one number format: batches of one and, where it is half, of four."""
    terms = plan.terms(size, PAIR_TOKENS)
    entries: list[Entry] = [ours(precision), usual(precision)]
    found: list[tuple[object, ...]] = []
    with scratch() as folder, Contest(entries, terms, Path(folder)) as contest:
        for batch in BATCHES[:1] if precision == "fp32" else BATCHES:
            contest.run(even(PAIR_TOKENS, PAIR_TOKENS, batch), _repeats(plan))
            found += [_row(one, precision, batch) for one in contest.contestants]
    return found


def _row(one: Contestant, precision: str, batch: int) -> tuple[object, ...]:
    setting = f"{precision}, batch {batch}"
    name = one.entry.name.split(",")[0]
    if not one.answers:
        return (setting, name, one.out, "", "")
    spent = sorted(1000 * answer["seconds"] for answer in one.answers)
    return (setting, name, median(spent), spent[int(0.95 * (len(spent) - 1))], memory_mb(one))


def memory_mb(one: Contestant) -> int:
    """On a GPU what PyTorch reserved there at most, weights included; else the process's largest size."""
    peak = max(int(answer.get("device_peak_bytes", answer["peak_bytes"])) for answer in one.answers)
    return int(peak / 1e6)


def _repeats(plan: Plan) -> int:
    return 50 if plan.is_cuda else max(2 * plan.rounds, 4)


def _half(plan: Plan, size: str) -> tuple[str | None, str]:
    """The half precision of this device, and what is to be said of it."""
    if plan.is_cuda:
        return "fp16", ""
    if own_precision(plan.terms(size, PAIR_TOKENS)) == "bfloat16":
        return "bf16", "Half precision is bf16 here: CPUs do not multiply fp16."
    return None, "This CPU multiplies neither fp16 nor bf16, so only FP32 is measured."


def _memory_says(plan: Plan) -> str:
    if plan.is_cuda:
        return "Memory is what PyTorch reserved on the device at most; the driver's context comes on top."
    return "Memory is the process's largest resident size, loading included."

"""The table of a contest: seconds, rates and ratios, and whether all gave the same logits.

Knows answers of contestants; knows no processes.
"""

from collections.abc import Sequence

from benchmarks.peers.arithmetic import total
from benchmarks.peers.contest import Contest, Contestant
from benchmarks.peers.line_up import OURS, USUAL, YARDSTICK
from benchmarks.peers.models import Size
from benchmarks.peers.workloads import Workload
from benchmarks.ranking import tau

HEADER = (
    "who",
    "median, s",
    "pairs/s",
    "tokens/s",
    "times the usual code",
    "rankmill is faster by",
    "largest difference of logits",
    "Kendall's tau",
    "peak memory, MB",
)
FP32_TOLERANCE = 1e-4


def rows(contest: Contest, workload: Workload) -> list[tuple[object, ...]]:
    """One row for every contestant but the yardstick."""
    lengths = contest.named(OURS).last.get("lengths", ())
    usual, ours = contest.named(USUAL), contest.named(OURS)
    return [
        _row(one, usual, ours, workload, sum(lengths))
        for one in contest.contestants
        if one.entry.name != YARDSTICK
    ]


def _row(
    one: Contestant, usual: Contestant, ours: Contestant, workload: Workload, num_tokens: int
) -> tuple[object, ...]:
    if one.seconds is None or one.logits is None:
        return (one.entry.name, one.out or "was not asked", *[""] * (len(HEADER) - 2))
    return (
        one.entry.name,
        one.seconds,
        len(workload.pairs) / one.seconds,
        int(num_tokens / one.seconds),
        usual.seconds / one.seconds if usual.seconds else "",
        one.seconds / ours.seconds if ours.seconds and one is not ours else "",
        _difference(one, usual.logits),
        _agreement(workload, one.logits, usual.logits) if usual.logits and one is not usual else "",
        int(_memory_bytes(one) / 1e6),
    )


def _difference(one: Contestant, usual: Sequence[float] | None) -> str:
    """Of the logits; in fp32 it must be rounding only, and the row says when it is not."""
    if usual is None or one.logits is None:
        return ""
    difference = max(abs(a - b) for a, b in zip(one.logits, usual, strict=True))
    scale = max(1.0, max(map(abs, usual)))
    is_wrong = _is_fp32(one) and difference > FP32_TOLERANCE * scale
    return f"{difference:.1e}" + (" (NOT EQUAL)" if is_wrong else "")


def _is_fp32(one: Contestant) -> bool:
    return one.entry.precision == "fp32" or one.last.get("precision") == "float32"


def _agreement(workload: Workload, one: Sequence[float], other: Sequence[float]) -> float:
    """The mean of Kendall's tau over queries, of long pairs over contracts, which have all questions."""
    rankings: dict[str, tuple[dict[str, float], dict[str, float]]] = {}
    side = 1 if workload.name == "long" else 0
    for place, pair in enumerate(workload.pairs):
        first, second = rankings.setdefault(pair[side], ({}, {}))
        first[str(place)], second[str(place)] = one[place], other[place]
    taus = [tau(first, second) for first, second in rankings.values() if len(first) > 1]
    return sum(taus) / len(taus) if taus else 1.0


def _memory_bytes(one: Contestant) -> int:
    """On a GPU what PyTorch reserved there, else the process's resident memory."""
    return max(int(answer.get("device_peak_bytes", answer["peak_bytes"])) for answer in one.answers)


def engine_notes(contest: Contest, size: Size) -> str:
    """How much of the device's matrix rate the engine used, and what tokenising took."""
    ours, yardstick = contest.named(OURS), contest.named(YARDSTICK)
    if ours.seconds is None or not yardstick.answers:
        return ""
    found = Shares(ours, yardstick, size)
    return (
        f"rankmill computed in {ours.last['precision']}, {ours.last['budget']:,} tokens a batch, at "
        f"{found.rate / 1e9:,.0f} billion operations a second: {found.computed:.1%} of the matrix rate "
        f"measured in the same rounds ({found.matrix_rate / 1e9:,.0f}); counted as the stock model computes, "
        f"without its shortcuts, {found.stock:.1%}. Tokenising and packing, partly meanwhile: "
        f"{found.tokenising:.1%} of its seconds."
    )


class Shares:
    """Shares of the matrix rate, by what was multiplied and by what the stock model would multiply."""

    def __init__(self, ours: Contestant, yardstick: Contestant, size: Size) -> None:
        assert ours.seconds is not None
        lengths = ours.last["lengths"]
        self.matrix_rate = yardstick.median_of("rate")
        self.rate = total(lengths, size, is_shortened=True) / ours.seconds
        self.computed = self.rate / self.matrix_rate
        self.stock = total(lengths, size, is_shortened=False) / ours.seconds / self.matrix_rate
        self.tokenising = ours.median_of("prepare_s") / ours.seconds


def who_ran(contestants: Sequence[Contestant]) -> str:
    """The versions, as far as they differ from contestant to contestant."""
    parts = []
    for one in contestants:
        versions = one.hello.get("versions", {})
        if versions and one.entry.name != YARDSTICK:
            shown = ", ".join(f"{name} {version}" for name, version in versions.items())
            parts.append(f"{one.entry.name}: {shown}")
    return "; ".join(parts)

"""The engine beside its peers, and the engine beside the device's matrix rate."""

from itertools import groupby
from pathlib import Path

from benchmarks.peers.contest import Contest, own_precision, say, scratch
from benchmarks.peers.line_up import OURS, YARDSTICK, line_up, ours, yardstick
from benchmarks.peers.models import size_of
from benchmarks.peers.plan import Plan
from benchmarks.peers.tables import HEADER, Shares, engine_notes, rows, who_ran
from benchmarks.peers.workloads import Workload
from benchmarks.report import publish

RATE_HEADER = (
    "what",
    "computed in",
    "tokens/s",
    "billion operations/s",
    "matrix rate",
    "share of it",
    "as the stock model counts",
    "tokenising",
)
SLOW_ROUND_S = 100.0  # what takes so long a round is measured in two rounds at most
WHAT_AGREES = (
    "The largest difference is to the logits of the usual code, and Kendall's tau the agreement of rankings "
    "with its; with random weights they say that all computed the same, nothing about the quality of int8."
)


def compare(plan: Plan, size: str) -> None:
    """A page for each workload, all contestants in turn."""
    workloads = [plan.workload(name, size) for name in plan.workloads]
    for max_length, alike in groupby(workloads, lambda workload: workload.max_length):
        terms = plan.terms(size, max_length)
        precision = own_precision(terms)
        entries = [*line_up(plan.device, precision, plan.who), yardstick(precision)]
        with scratch() as folder, Contest(entries, terms, Path(folder)) as contest:
            for workload in alike:
                contest.run(workload, plan.rounds, enough_s=SLOW_ROUND_S)
                _publish(plan, size, contest, workload)


def _publish(plan: Plan, size: str, contest: Contest, workload: Workload) -> None:
    lengths = contest.named(OURS).last.get("lengths", [0])
    rounds = max(len(one.answers) for one in contest.contestants)
    notes = [
        f"{workload.source}; {len(workload.pairs)} pairs, {sum(lengths):,} tokens ({min(lengths)} to "
        f"{max(lengths)} a pair, at most {workload.max_length:,}); median of {rounds} rounds, alternated. "
        f"{WHAT_AGREES}",
        engine_notes(contest, size_of(contest.terms.model)),
        who_ran(contest.contestants),
    ]
    publish(
        f"peers_{plan.place}_{workload.name}_{_page(size)}",
        f"{size}, {workload.name} pairs: rankmill and its peers on {plan.place}",
        HEADER,
        rows(contest, workload),
        "\n\n".join(filter(None, notes)),
    )


def measure_rate(plan: Plan, size: str) -> None:
    """One page: the engine alone on pairs of chosen lengths, alternated with plain matrix products."""
    table: list[tuple[object, ...]] = []
    for workload in plan.engine_workloads(size):
        terms = plan.terms(size, workload.max_length)
        precision = own_precision(terms)
        entries = [ours("auto"), yardstick(precision)]
        with scratch() as folder, Contest(entries, terms, Path(folder)) as contest:
            contest.run(workload, plan.rounds, enough_s=SLOW_ROUND_S)
            engine, matrices = contest.named(OURS), contest.named(YARDSTICK)
            if engine.seconds is None or not matrices.answers:
                say(f"{workload.name}: {engine.out or matrices.out}")
                continue
            shares = Shares(engine, matrices, size_of(terms.model))
            lengths = engine.last["lengths"]
            table.append(
                (
                    f"{len(workload.pairs)} pairs of {min(lengths)} to {max(lengths)} tokens",
                    precision,
                    int(sum(lengths) / engine.seconds),
                    int(shares.rate / 1e9),
                    int(shares.matrix_rate / 1e9),
                    f"{shares.computed:.1%}",
                    f"{shares.stock:.1%}",
                    f"{shares.tokenising:.1%}",
                )
            )
    publish(
        f"engine_rate_{plan.place}_{_page(size)}",
        f"{size}: the engine alone against the matrix rate of {plan.place}",
        RATE_HEADER,
        table,
        "The matrix rate is that of PyTorch's linear layer on the fastest of the model's own shapes and a "
        "square one, measured in the same rounds. The share counts what the engine multiplies, attention "
        "included; the next column counts what the stock model would, without the engine's shortcuts.",
    )


def _page(size: str) -> str:
    return Path(size).name

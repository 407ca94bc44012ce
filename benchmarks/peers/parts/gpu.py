"""Everything that is asked of a GPU, in one table and in minutes; benchmarks/gpu.sh calls it.

How much is measured follows from the device's matrix rate. What there is no time for is said to be left out.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.peers.arithmetic import all_layers
from benchmarks.peers.contest import Contest, own_precision, say, scratch
from benchmarks.peers.line_up import OURS, YARDSTICK, line_up, ours, yardstick
from benchmarks.peers.models import size_of
from benchmarks.peers.parts import article
from benchmarks.peers.plan import MODEL_TOKENS, TRUE_SIZE, Plan
from benchmarks.peers.tables import Shares, who_ran
from benchmarks.peers.workloads import even, sampled
from benchmarks.report import publish

Row = tuple[object, ...]
HEADER = ("what", "figure", "aim")
PASS_S = 6.0  # one pass of the engine over a workload should take about this long
MOST_PAIRS = 16_384


class Table:
    """Rows as they come, and the time there is; each part is left out when the time is over or it fails."""

    def __init__(self, seconds: float) -> None:
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self._ends_at = time.monotonic() + seconds

    def part(self, name: str, measure: Callable[[], list[Row]]) -> None:
        if time.monotonic() > self._ends_at:
            self.rows.append((name, "left out: the time was over", ""))
            return
        say(name)
        try:
            self.rows += measure()
        except Exception as error:  # the other rows are worth having
            self.rows.append((name, f"failed: {type(error).__name__}: {error}"[:200], ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", default=TRUE_SIZE)
    parser.add_argument("--seconds", type=float, default=330.0, help="when no further part is begun")
    parser.add_argument("--data", type=Path)
    asked = parser.parse_args()
    plan = Plan.of(
        device=asked.device,
        sizes=[asked.size],
        workloads=["mixed"],
        data=asked.data.resolve() if asked.data else None,
        rounds=3,
        pairs=None,
        long_tokens=None,
        pythons={},
    )
    table = Table(asked.seconds)
    try:
        _measure(plan, asked.size, table)
    except KeyboardInterrupt:  # out of time: what there is, is shown
        table.rows.append(("the rest", "left out: the time was over", ""))
    publish(
        f"gpu_{plan.place}_{Path(asked.size).name}",
        f"{asked.size} on {plan.place}",
        HEADER,
        table.rows,
        "\n\n".join(table.notes),
    )


def _measure(plan: Plan, size: str, table: Table) -> None:
    rate = _Rate(plan, size)
    table.part("matrix rate", rate.rows)
    table.part("512 tokens", lambda: engine_rows(plan, size, 512, rate.pairs_of(512), "75 %"))
    table.part("8,192 tokens", lambda: engine_rows(plan, size, 8192, rate.pairs_of(8192), "55 %"))
    for precision in dict.fromkeys(("fp32", rate.half)):
        table.part(f"the article, {precision}", partial(article_rows, plan, size, precision))
    table.part("mixed", lambda: mixed_rows(plan, size, rate.pairs_of(512), table))
    table.part("store to store", lambda: end_to_end_rows(plan, size, rate.pairs_of(512)))


class _Rate:
    """The device's matrix rate, from which follows how many pairs are measured."""

    def __init__(self, plan: Plan, size: str) -> None:
        self._plan, self._size = plan, size
        self._terms = plan.terms(size, 512)
        self.precision = own_precision(self._terms)
        self.half = {"float16": "fp16", "bfloat16": "bf16"}.get(self.precision, "fp32")
        self._rate = 1e11

    def rows(self) -> list[Row]:
        entries = [yardstick(self.precision)]
        with scratch() as folder, Contest(entries, self._terms, Path(folder)) as contest:
            contest.run(even(512, 512, 1), 3)
            self._rate = contest.named(YARDSTICK).median_of("rate")
        return [(f"matrix rate, {self.precision}, 10^12 operations/s", self._rate / 1e12, "")]

    def pairs_of(self, num_tokens: int) -> int:
        cost = all_layers(size_of(self._terms.model), num_tokens)
        return max(2, min(MOST_PAIRS, int(PASS_S * self._rate / cost)))


def engine_rows(plan: Plan, size: str, num_tokens: int, num_pairs: int, aim: str) -> list[Row]:
    terms = plan.terms(size, num_tokens)
    entries = [ours("auto"), yardstick(own_precision(terms))]
    with scratch() as folder, Contest(entries, terms, Path(folder)) as contest:
        contest.run(even(num_tokens, num_tokens, num_pairs), 3)
        engine = contest.named(OURS)
        if engine.seconds is None:
            return [(f"engine at {num_tokens:,} tokens", engine.out, "")]
        shares = Shares(engine, contest.named(YARDSTICK), size_of(terms.model))
        return [
            (f"engine at {num_tokens:,} tokens, pairs/s, of {num_pairs}", num_pairs / engine.seconds, ""),
            (
                f"engine at {num_tokens:,} tokens, share of the matrix rate, texts to logits",
                f"{shares.computed:.1%} (as the stock model counts {shares.stock:.1%})",
                f"at least {aim}",
            ),
        ]


def article_rows(plan: Plan, size: str, precision: str) -> list[Row]:
    found = article.rows(plan, size, precision)
    aim = "at most 2,000 MB"
    return [
        (
            f"{setting}, {who}",
            f"{middle:,.1f} ms, 95th percentile {late:,.1f} ms, {memory:,} MB"
            if isinstance(middle, float) and isinstance(late, float)
            else middle,
            aim if who == OURS and "fp16, batch 4" in str(setting) else "",
        )
        for setting, who, middle, late, memory in found
    ]


def mixed_rows(plan: Plan, size: str, num_pairs: int, table: Table) -> list[Row]:
    terms = plan.terms(size, MODEL_TOKENS)
    workload = sampled("mixed", min(1024, max(32, num_pairs // 16)), MODEL_TOKENS, plan.data)
    entries = [*line_up(plan.device, own_precision(terms))]
    with scratch() as folder, Contest(entries, terms, Path(folder)) as contest:
        contest.run(workload, plan.rounds, enough_s=40.0)
        table.notes.append(f"Mixed pairs: {len(workload.pairs)}, {workload.source}.")
        table.notes.append(who_ran(contest.contestants))
        engine = contest.named(OURS)
        found: list[Row] = []
        for one in contest.contestants:
            if one.seconds is None or engine.seconds is None:
                found.append((f"mixed, {one.entry.name}", one.out, ""))
                continue
            aim = "at least 3" if one.entry.precision == "fp16" and one.entry.environment else ""
            figure = f"{len(workload.pairs) / one.seconds:,.1f} pairs/s"
            if one is not engine:
                figure += f", rankmill is {one.seconds / engine.seconds:,.2f} times as fast"
            found.append((f"mixed, {one.entry.name}", figure, aim))
        return found


def end_to_end_rows(plan: Plan, size: str, num_pairs: int) -> list[Row]:
    from benchmarks.peers.parts import end_to_end  # needs the whole program, which may not be installed

    whole = end_to_end.run(replace(plan, rounds=2), size, num_pairs)
    return [("store to store, of the engine alone", f"{whole.share:.1%}", "at least 97 %")]


if __name__ == "__main__":
    main()

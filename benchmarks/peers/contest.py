"""Contestants as processes, asked in turn, round after round, in one run.

Each answers alone while the others wait. One that fails is out, with its reason; the rest go on.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

from benchmarks.peers.environments import NotInstalledHere, find_python
from benchmarks.peers.line_up import Entry
from benchmarks.peers.workloads import Workload

ROOT = Path(__file__).parent.parent.parent
WARM_UP_PAIRS = 4


@dataclass(frozen=True)
class Terms:
    """What all contestants of a contest have in common. `pythons`: interpreters given by environment."""

    model: Path
    device: str
    max_length: int
    pythons: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Contestant:
    """A process that scores, what it said so far, and why it is out if it is."""

    entry: Entry
    process: subprocess.Popen[str] | None = None
    hello: dict[str, Any] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)
    out: str | None = None

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any] | None:
        """Its answer, or None when it is out."""
        if self.out is not None or self.process is None:
            return None
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.out = "its process ended"
            return None
        return self._heard()

    def _heard(self) -> dict[str, Any] | None:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "its process ended"}
        self.out = answer.get("error")
        return answer if self.out is None else None

    @property
    def seconds(self) -> float | None:
        """The median of its rounds; None when there is none."""
        return median(answer["seconds"] for answer in self.answers) if self.answers else None

    @property
    def logits(self) -> Sequence[float] | None:
        return self.answers[0]["logits"] if self.answers else None

    def median_of(self, name: str) -> float:
        return float(median(answer[name] for answer in self.answers))

    @property
    def last(self) -> dict[str, Any]:
        return self.answers[-1] if self.answers else {}


class Contest:
    """Contestants that have loaded; `with` ends their processes."""

    def __init__(self, entries: Sequence[Entry], terms: Terms, folder: Path) -> None:
        self.terms = terms
        self._folder = folder
        self.contestants = [self._start(entry) for entry in entries]

    def __enter__(self) -> "Contest":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for contestant in self.contestants:
            if contestant.process is not None:
                assert contestant.process.stdin is not None
                contestant.process.stdin.close()
                contestant.process.terminate()
                contestant.process.wait()

    def run(self, workload: Workload, rounds: int, *, enough_s: float = 1e9) -> None:
        """All rounds of a workload, after a warm-up; two when one takes more than `enough_s`.

        Earlier answers are forgotten.
        """
        warm_up = workload if self.terms.device.startswith("cuda") else workload.first(WARM_UP_PAIRS)
        path = warm_up.write(self._folder / "warm-up.jsonl")
        for contestant in self.contestants:
            contestant.answers.clear()
            contestant.ask({"pairs": path})
        path = workload.write(self._folder / "pairs.jsonl")
        for number in range(rounds):
            started = time.monotonic()
            for contestant in self.contestants:
                answer = contestant.ask({"pairs": path})
                if answer is not None:
                    contestant.answers.append(answer)
                    spent = f"{contestant.entry.name} {answer['seconds']:.2f} s"
                    say(f"{workload.name} round {number + 1}: {spent}")
            if number + 1 >= 2 and time.monotonic() - started > enough_s:
                break

    def named(self, name: str) -> Contestant:
        return next(one for one in self.contestants if one.entry.name == name)

    def _start(self, entry: Entry) -> Contestant:
        contestant = Contestant(entry)
        try:
            python = find_python(entry.package, entry.environment, self.terms.pythons)
        except NotInstalledHere as missing:
            contestant.out = str(missing)
            return contestant
        started = time.monotonic()
        command = [python, "-m", f"benchmarks.contestants.{entry.module}"]
        command += ["--model", str(self.terms.model), "--device", self.terms.device]
        command += ["--precision", entry.precision, "--max-length", str(self.terms.max_length)]
        for option in entry.options:
            command += ["--option", option]
        with (self._folder / f"{entry.name}.log").open("w") as log:
            contestant.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        # One loads after the other: all at once they would want too much memory for a moment.
        contestant.hello = contestant._heard() or {}
        loaded = contestant.out or f"loaded in {time.monotonic() - started:.1f} s"
        say(f"{entry.name}: {loaded}")
        return contestant


def own_precision(terms: Terms) -> str:
    """What our engine computes in on this device when it may choose, as PyTorch names it."""
    import torch

    from rankmill.db.records.scorers import Precision
    from rankmill.worker.loading.precision import choose_dtype

    return str(choose_dtype(Precision.AUTO, torch.device(terms.device))).removeprefix("torch.")


def say(line: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {line}", flush=True)


def scratch() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="peers-")

"""How a contestant speaks: it loads, says so, then answers orders one by one, each a line of JSON.

An order names a file of pairs; the answer has logits, seconds and peak memory. Needs nothing but Python;
knows no library that scores.
"""

import argparse
import importlib.metadata
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Pairs = Sequence[tuple[str, str]]
Order = dict[str, Any]
Answer = dict[str, Any]
PACKAGES = ("torch", "transformers", "sentence-transformers", "openvino", "onnxruntime", "FlagEmbedding")
REASON_CHARS = 200
# Addresses that a process with PyTorch takes without using memory.
ADDRESSES_BYTES = 4 * 10**9


@dataclass(frozen=True)
class Setup:
    """What to load. `precision` is fp32, fp16, bf16, int8 or auto; `max_length` counts tokens of a pair."""

    model: str
    device: str
    precision: str
    max_length: int
    options: dict[str, str]


def serve(load: Callable[[Setup], Callable[[Order], Answer]]) -> None:
    """Run this process as a contestant: `load` gives what answers orders. Ends when stdin does."""
    parser = argparse.ArgumentParser()
    for name in ("model", "device", "precision"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--max-length", type=int, required=True)
    parser.add_argument("--option", action="append", default=[], help="NAME=VALUE, for one contestant")
    asked = parser.parse_args()
    options = dict(option.split("=", 1) for option in asked.option)
    say = _own_stdout()
    if asked.device == "cpu":
        _stay_within_memory()
    try:
        answer = load(Setup(asked.model, asked.device, asked.precision, asked.max_length, options))
    except Exception as error:
        say({"error": reason_of(error)})
        raise
    say({"versions": _versions(), "load_peak_bytes": peak_bytes()})
    for line in sys.stdin:
        say(_answered(answer, json.loads(line)))


def scoring(score: Callable[[Pairs], Sequence[float]]) -> Callable[[Order], Answer]:
    """Answers orders with the logits that `score` gives and the seconds it takes, tokenising included."""

    def answer(order: Order) -> Answer:
        pairs = read_pairs(order["pairs"])
        started = time.perf_counter()
        logits = score(pairs)
        return {"seconds": time.perf_counter() - started, "logits": [float(logit) for logit in logits]}

    return answer


def read_pairs(path: str) -> list[tuple[str, str]]:
    with Path(path).open(encoding="utf-8") as lines:
        return [(query, document) for query, document in map(json.loads, lines)]


def reason_of(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{type(error).__name__}: {text}"[:REASON_CHARS]


def peak_bytes() -> int:
    """The largest resident size of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would begin with the size of the process that started this one
        peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if peak is not None:
            return int(peak[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _stay_within_memory() -> None:
    """Whoever wants more memory than is free gets an error, and the machine does not end some process."""
    status = Path("/proc/meminfo")
    free = re.search(r"MemAvailable:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if free is not None:
        limit = ADDRESSES_BYTES + int(0.7 * int(free[1]) * 1024)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _answered(answer: Callable[[Order], Answer], order: Order) -> Answer:
    cuda = _cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()
    try:
        found = answer(order)
    except Exception as error:  # out of memory, for one: the contest goes on without this one
        found = {"error": reason_of(error)}
    found["peak_bytes"] = peak_bytes()
    if cuda is not None:
        found["device_peak_bytes"] = cuda.max_memory_reserved()
        cuda.empty_cache()  # others use the same device when it is their turn
    return found


def _cuda() -> Any:
    """PyTorch's view of the GPU, where this process uses one."""
    torch: Any = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


def _own_stdout() -> Callable[[Answer], None]:
    """Answers go out by the first stdout; what libraries print there from now on goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(answer: Answer) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    return say


def _versions() -> dict[str, str]:
    found = {}
    for package in (*PACKAGES, "infinity-emb"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

"""What is measured here and how much of it: what a device can bear in minutes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.peers.contest import Terms
from benchmarks.peers.models import SIZES, model_directory
from benchmarks.peers.workloads import Workload, even, questioned, sampled

TRUE_SIZE = "24x1024"
MODEL_TOKENS = 8192


class Amounts(NamedTuple):
    """Pairs of the samples, contracts and tokens read of each, pairs of 256 to 512, tokens of a long pair."""

    short: int
    mixed: int
    contracts: int
    long_tokens: int
    even: int
    one_long: int


# Two CPU cores need about a quarter of an hour for all parts; a long pair is cut where minutes end.
CPU_AMOUNTS = {
    "2x64": Amounts(32, 32, 1, 1024, 32, 1024),
    "demo": Amounts(256, 256, 1, 2048, 256, 8192),
    "6x384": Amounts(64, 64, 1, 1024, 64, 8192),
    "12x768": Amounts(64, 64, 1, 512, 24, 4096),
}
CPU_OTHER = Amounts(32, 32, 1, 512, 8, 2048)
CUDA_AMOUNTS = Amounts(1024, 1024, 2, MODEL_TOKENS, 2048, MODEL_TOKENS)


@dataclass(frozen=True)
class Plan:
    device: str
    sizes: Sequence[str]
    workloads: Sequence[str]
    data: Path | None
    rounds: int
    pairs: int | None
    long_tokens: int | None
    pythons: Mapping[str, str]
    who: Sequence[str] = ()

    @classmethod
    def of(cls, *, device: str | None, sizes: Sequence[str] | None, **rest: object) -> "Plan":
        """With what was not asked for chosen for the device."""
        found = device or ("cuda" if torch.cuda.is_available() else "cpu")
        usual = ["12x768", TRUE_SIZE] if found.startswith("cuda") else ["6x384", "12x768"]
        return cls(device=found, sizes=sizes or usual, **rest)  # type: ignore[arg-type]

    @property
    def is_cuda(self) -> bool:
        return self.device.startswith("cuda")

    @property
    def article_sizes(self) -> Sequence[str]:
        """The seed article measured one model, of the true size; trying the benchmark takes a small one."""
        return [size for size in self.sizes if size not in SIZES or size == "2x64"] or [TRUE_SIZE]

    @property
    def place(self) -> str:
        """The device in a page's name."""
        if not self.is_cuda:
            return "cpu"
        return "".join(part for part in torch.cuda.get_device_name(self.device).split() if part != "NVIDIA")

    def terms(self, size: str, max_length: int) -> Terms:
        return Terms(model_directory(size, self.data), self.device, max_length, self.pythons)

    def amounts(self, size: str) -> Amounts:
        found = CUDA_AMOUNTS if self.is_cuda else CPU_AMOUNTS.get(size, CPU_OTHER)
        if self.pairs is not None:
            found = found._replace(short=self.pairs, mixed=self.pairs, even=self.pairs)
        return found if self.long_tokens is None else found._replace(long_tokens=self.long_tokens)

    def workload(self, name: str, size: str) -> Workload:
        amounts = self.amounts(size)
        if name == "long":
            return questioned(amounts.contracts, amounts.long_tokens, self.data)
        return sampled(name, getattr(amounts, name), MODEL_TOKENS, self.data)

    def engine_workloads(self, size: str) -> list[Workload]:
        """What the engine alone is measured on: even lengths, one length, and pairs of many tokens."""
        amounts = self.amounts(size)
        long = even(amounts.one_long, amounts.one_long, 64 if self.is_cuda else 1)
        return [even(256, 512, amounts.even), even(512, 512, amounts.even), long]

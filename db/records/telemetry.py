"""What a worker computed and what it waited for: the sums, their words for people, and how they are stored.

Knows no clock and no device; worker/drain/timing.py counts.
"""

import json
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Sums over a period of scoring; those of two periods can be added.

    `num_tokens` counts real tokens, `num_computed_tokens` all that went through the model, with padding and
    idle rows. `cost` is what the batches cost, `budget` what they might have cost.
    The seconds are those of the scoring thread. Each second is in exactly one of three: computing
    (`device_s`), waiting for token ids and packing (`tokens_s`), or waiting for the store (`store_s`).
    """

    num_batches: int = 0
    num_tokens: int = 0
    num_computed_tokens: int = 0
    cost: int = 0
    budget: int = 0
    device_s: float = 0.0
    tokens_s: float = 0.0
    store_s: float = 0.0

    @property
    def seconds(self) -> float:
        return self.device_s + self.tokens_s + self.store_s

    @property
    def tokens_per_s(self) -> float:
        return self.num_tokens / max(self.seconds, 1e-3)

    @property
    def fill(self) -> float | None:
        """Real tokens divided by computed tokens; None when nothing was computed."""
        return self.num_tokens / self.num_computed_tokens if self.num_computed_tokens else None

    @property
    def load(self) -> float | None:
        """The share of their budget that the batches used; None when nothing was computed."""
        return self.cost / self.budget if self.budget else None

    def __add__(self, other: "Telemetry") -> "Telemetry":
        return Telemetry(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    def facts(self) -> dict[str, float | None]:
        """The sums and the figures that follow from them, for programs."""
        return asdict(self) | {"fill": self.fill, "load": self.load, "tokens_per_s": self.tokens_per_s}

    def words(self) -> str:
        """For people: `199 batches, fill 98 %, load 91 %; 9.6 s for the device, 0.2 s for tokens, …`."""
        waits = f"{self.device_s:,.1f} s for the device, {self.tokens_s:,.1f} s for tokens"
        waits += f", {self.store_s:,.1f} s for the store"
        if self.fill is None or self.load is None:
            return waits
        batches = f"{self.num_batches:,} batch{'' if self.num_batches == 1 else 'es'}"
        return f"{batches}, fill {self.fill:.0%}, load {self.load:.0%}; {waits}"


def to_json(telemetry: Telemetry) -> str:
    return json.dumps(asdict(telemetry))


def from_json(stored: str) -> Telemetry:
    """What `to_json` wrote. Fields that this program does not know are left out."""
    found = json.loads(stored)
    return Telemetry(**{field.name: found[field.name] for field in fields(Telemetry) if field.name in found})

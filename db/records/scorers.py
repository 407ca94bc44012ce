"""What is asked of a scorer, as a value and as JSON, and what really computed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any


class Precision(StrEnum):
    """The precision a scorer asks for; `auto` is fp16 on CUDA, and bf16 or fp32 on a CPU, never int8."""

    AUTO = "auto"
    FP16 = "fp16"
    BF16 = "bf16"
    FP32 = "fp32"
    INT8 = "int8"


class LongDocuments(StrEnum):
    """What happens to a document that does not fit beside its query."""

    WINDOWS = "windows"
    TRUNCATE = "truncate"
    ERROR = "error"


class WindowEnds(StrEnum):
    """Where windows end. Another rule gives other scores, so it needs another name."""

    BOUNDARIES = "boundaries"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerSpec:
    """Everything that decides a score, as a job asked for it.

    `model` is a hub id, an absolute directory, `demo` or `null`.
    `files_digest` is set for models that are local files (a directory, the demo), None for hub ids.
    `max_length` counts all tokens of a sequence, special tokens included; None means the model's own limit.
    `window` counts document tokens of one window; None means all that fit beside the query.
    `stride` counts document tokens from one window's start to the next; None means three quarters of it.
    `window_ends` says where windows end; None, as in scorers of version 0.1.0, means by count alone.
    """

    model: str
    revision: str | None = None
    files_digest: str | None = None
    precision: Precision = Precision.AUTO
    max_length: int | None = None
    long_documents: LongDocuments = LongDocuments.WINDOWS
    window: int | None = None
    stride: int | None = None
    window_ends: WindowEnds | None = None


def spec_to_json(spec: ScorerSpec) -> dict[str, Any]:
    """The spec as values of JSON; the digests of scorers and jobs are taken of it.

    `window_ends`, which version 0.1.0 did not know, is left out where it is None: scorers, jobs and scores
    of that version stay what they were.
    """
    facts = asdict(spec) | {
        "precision": spec.precision.value,
        "long_documents": spec.long_documents.value,
        "window_ends": spec.window_ends and spec.window_ends.value,
    }
    if spec.window_ends is None:
        del facts["window_ends"]
    return facts


def spec_from_json(facts: Mapping[str, Any]) -> ScorerSpec:
    """The spec in `facts`, which may lack what has a default and have more: a row of the store is read so."""
    values = {field.name: facts[field.name] for field in fields(ScorerSpec) if field.name in facts}
    for name, kind in _CHOICES.items():
        if values.get(name) is not None:
            values[name] = kind(values[name])
    return ScorerSpec(**values)


_CHOICES = {"precision": Precision, "long_documents": LongDocuments, "window_ends": WindowEnds}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What really computed a score; recorded when scores land.

    Digests are SHA-256 in hex; that of the weights includes the model's config. `device` and `dtype` are
    PyTorch's names ("cpu", "bfloat16"); the dtype is "int8" where linear layers multiply 8-bit integers.
    """

    weights_digest: str
    tokenizer_digest: str
    device: str
    dtype: str
    program_version: str

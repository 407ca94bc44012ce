"""Scorers as they cross rooms: what was asked for, and what really computed."""

from dataclasses import dataclass
from enum import StrEnum


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

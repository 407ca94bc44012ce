"""Who competes on which device."""

from collections.abc import Sequence
from dataclasses import dataclass

OURS = "rankmill"
USUAL = "usual code, fp32"
# These two hold all of attention at once: 32 pairs, the longest of 1,200 tokens, took 15 GB with 6x384.
INT8_BATCH = 8


@dataclass(frozen=True)
class Entry:
    """A contestant: its module under benchmarks.contestants, what it needs, and how it is to compute."""

    name: str
    module: str
    package: str
    precision: str
    environment: str | None = None
    options: tuple[str, ...] = ()


def usual(precision: str) -> Entry:
    return Entry(f"usual code, {precision}", "usual_code", "transformers", precision)


def cross_encoder(precision: str) -> Entry:
    name = f"sentence-transformers, {precision}"
    return Entry(name, "cross_encoder", "sentence_transformers", precision, "openvino")


def int8(backend: str, title: str) -> Entry:
    package = {"onnx": "onnxruntime", "openvino": "openvino"}[backend]
    name = f"sentence-transformers, {title} int8"
    options = (f"backend={backend}", f"batch={INT8_BATCH}")
    return Entry(name, "cross_encoder", package, "int8", backend, options)


def flag(precision: str) -> Entry:
    name = f"FlagEmbedding, {precision}"
    return Entry(name, "flag_reranker", "FlagEmbedding", precision, "flagembedding")


def infinity(precision: str) -> Entry:
    return Entry(f"infinity, {precision}", "infinity_engine", "infinity_emb", precision, "infinity")


def ours(precision: str, *options: str, name: str = OURS) -> Entry:
    return Entry(name, "rankmill_engine", "torch", precision, None, options)


YARDSTICK = "matrix rate"


def yardstick(precision: str) -> Entry:
    """`precision` as PyTorch names it."""
    return Entry(YARDSTICK, "matrix_rate", "torch", precision)


def line_up(device: str, own_precision: str, who: Sequence[str] = ()) -> list[Entry]:
    """The usual code first, for the others are compared with it, and ours last; between them all others, or
    those with a word of `who` in their names. `own_precision`: what ours computes in when it may choose.
    """
    entries = _all(device, own_precision)
    between = [one for one in entries[1:-1] if not who or any(word in one.name for word in who)]
    return [entries[0], *between, entries[-1]]


def _all(device: str, own_precision: str) -> list[Entry]:
    if device.startswith("cuda"):
        return [
            usual("fp32"),
            usual("fp16"),
            cross_encoder("fp16"),
            flag("fp16"),
            infinity("fp16"),
            ours("auto"),
        ]
    entries = [
        usual("fp32"),
        cross_encoder("fp32"),
        int8("onnx", "ONNX"),
        int8("openvino", "OpenVINO"),
        flag("fp32"),
        infinity("fp32"),
    ]
    if own_precision != "float32":  # the same engine in the others' number format
        entries.append(ours("fp32", name="rankmill, fp32"))
    entries.append(ours("int8", name="rankmill, int8"))
    return [*entries, ours("auto")]

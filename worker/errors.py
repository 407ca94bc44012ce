"""What can go wrong between a model's name and its scores. Each message says what to do.

Imports nothing, so that catching these needs no torch.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankmill.db.records.pairs import PairResults

SUPPORTED = (
    "Supported are encoders with a sequence-classification head of one label: XLM-RoBERTa, RoBERTa, BERT, "
    "ModernBERT (padding-free), DeBERTa and other such encoders (padded)"
)


class WorkerError(Exception):
    """Something is wrong on the worker's side."""


class Stopped(WorkerError):
    """Scoring was asked to stop and did, between two batches.

    `results` has one entry for each request, in their order: None for one that is not scored whole.
    """

    def __init__(self, results: Sequence["PairResults | None"]) -> None:
        super().__init__("Scoring stopped between two batches, as asked.")
        self.results = results


class ModelError(WorkerError):
    """The scorer that a job asks for cannot be loaded here. Trying again without a change is useless."""


class ModelNotFound(ModelError):
    """Neither a hub model nor a directory of this name can be read."""

    def __init__(self, model: str, revision: str | None, reason: str) -> None:
        name = f"{model!r} at revision {revision!r}" if revision else repr(model)
        super().__init__(
            f"Model {name} cannot be read: {reason}. Check --model and --revision and the network "
            "(HF_HUB_OFFLINE, HF_TOKEN for private models), or name a directory that holds the model's files."
        )


class NotAModel(ModelError):
    """The directory exists and holds no model."""

    def __init__(self, model: str, missing: str) -> None:
        super().__init__(
            f"Model {model!r} has no {missing}. Name a directory as save_pretrained() writes it: "
            "config.json, model.safetensors and the tokenizer's files."
        )


class PickleWeightsOnly(ModelError):
    """The weights exist only as pickles, which can run code when they are read."""

    def __init__(self, model: str, files: Sequence[str]) -> None:
        found = f" (found {', '.join(files)})" if files else ""
        super().__init__(
            f"Model {model!r} has no weights in safetensors form{found}; pickle files can run code and are "
            "never read. If you trust them, convert them once: load the model with transformers, save it "
            "with save_pretrained(DIRECTORY), and use --model DIRECTORY."
        )


class BrokenWeights(ModelError):
    """A safetensors file cannot be read, or does not hold what the model needs."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(
            f"The weights of model {model!r} cannot be used: {reason}. Fetch or copy the model's files again."
        )


class HeadMissing(ModelError):
    """The weights hold an encoder, but not the head that turns its output into a score."""

    def __init__(self, model: str, missing: str) -> None:
        super().__init__(
            f"Model {model!r} has no trained head: its weights lack {missing}. It is an encoder or an "
            "embedding model, not a cross-encoder. Choose a reranker such as BAAI/bge-reranker-v2-m3."
        )


class WeightsLeftOver(ModelError):
    """The weights hold more of the encoder than the config describes."""

    def __init__(self, model: str, names: str) -> None:
        super().__init__(
            f"The weights of model {model!r} do not belong to its config.json: nothing there takes {names}. "
            "Fetch or copy both from one place; merge an adapter first (merge_and_unload)."
        )


class Quantized(ModelError):
    """The weights are stored in few bits, with scales beside them."""

    def __init__(self, model: str, what: str) -> None:
        super().__init__(
            f"The weights of model {model!r} are quantised ({what}), which is not supported. "
            "Name the model they were made from, with --precision int8 for 8-bit integers on a CPU."
        )


class NotMerged(ModelError):
    """The folder holds an adapter, which changes another model."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"Model {model!r} holds an adapter (adapter_config.json), such as LoRA's, which is not read. "
            "Merge it into its model once: load it with peft, then merge_and_unload() and "
            "save_pretrained(DIRECTORY), with the tokenizer's files beside."
        )


class EmbeddingModel(ModelError):
    """A model of sentence-transformers that reads texts one by one."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"Model {model!r} is an embedding model of sentence-transformers (modules.json), not a "
            "cross-encoder: it reads query and document apart. Choose a reranker such as "
            "BAAI/bge-reranker-v2-m3."
        )


class ModulesUnsupported(ModelError):
    """A modular cross-encoder that cannot be put together here."""

    def __init__(self, model: str, reason: str, *, is_incomplete: bool = False) -> None:
        remedy = (
            "Fetch or copy the model's files again, with the folders that modules.json names."
            if is_incomplete
            else "Supported are Transformer, Pooling, Dense, LayerNorm and Normalize, in this order."
        )
        super().__init__(
            f"Model {model!r} is a modular cross-encoder of sentence-transformers (modules.json) and cannot "
            f"be used: {reason}. {remedy}"
        )


class FilesMismatch(ModelError):
    """The files here are not those that the job was submitted with."""

    def __init__(self, model: str, expected: str, found: str) -> None:
        super().__init__(
            f"The files of model {model!r} have digest {found[:12]}, but the job was submitted with "
            f"{expected[:12]}. Give this machine the same files, or submit again."
        )


class NotACrossEncoder(ModelError):
    """The model does not give one number for a pair."""

    def __init__(self, model: str, num_labels: int) -> None:
        super().__init__(
            f"Model {model!r} gives {num_labels} labels; a cross-encoder gives one. "
            "Choose a reranker such as BAAI/bge-reranker-v2-m3."
        )


class DecoderUnsupported(ModelError):
    """The model is a decoder or a sequence-to-sequence model."""

    def __init__(self, model: str, architecture: str) -> None:
        super().__init__(
            f"Model {model!r} is a {architecture}; decoders are not supported as rerankers. {SUPPORTED}."
        )


class ArchitectureUnsupported(ModelError):
    """The model has no sequence-classification head, or transformers does not know its type."""

    def __init__(self, model: str, architecture: str) -> None:
        super().__init__(
            f"Model {model!r} is a {architecture}, not a sequence classifier known to the installed "
            f"transformers. {SUPPORTED}."
        )


class ConfigRefused(ModelError):
    """The library makes no model of the config."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(
            f"The config.json of model {model!r} is refused by the installed transformers: {reason}. "
            "Correct it, or save the model again with save_pretrained() where it still loads."
        )


class RemoteCodeRefused(ModelError):
    """The model needs Python code of its own."""

    def __init__(self, model: str, sign: str = "auto_map") -> None:
        super().__init__(
            f"Model {model!r} needs Python code from its own repository ({sign}), which is never run. "
            f"{SUPPORTED}."
        )


class TokenizerMissing(ModelError):
    """There are no files that a tokenizer can be made of."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"The folder of model {model!r} has no tokenizer files (tokenizer.json, vocab.txt, vocab.json "
            "with merges.txt, or a sentencepiece model). Put those of the model it was trained from beside "
            "the weights: AutoTokenizer.from_pretrained(MODEL).save_pretrained(DIRECTORY)."
        )


class TokenizerUnsupported(ModelError):
    """The tokenizer cannot be used pair by pair, or is not the model's."""

    def __init__(
        self, model: str, reason: str, remedy: str = "A tokenizer.json written by save_pretrained() is needed"
    ) -> None:
        super().__init__(f"The tokenizer of model {model!r} cannot be used: {reason}. {remedy}.")


class PrecisionUnsupported(ModelError):
    """This device cannot compute in the precision asked for."""

    def __init__(self, precision: str, device: str) -> None:
        super().__init__(
            f"Precision {precision} is not supported on {device}. "
            "Use --precision auto, which takes the fastest one the device has."
        )


class QuantizationRefused(ModelError):
    """With int8 this model gives other scores than with fp32."""

    def __init__(self, model: str, difference: float) -> None:
        super().__init__(
            f"Model {model!r} is too inexact with int8: on test pairs its logits differ by up to "
            f"{difference:.2g} from those in fp32. Use --precision auto."
        )


class TrialFailed(ModelError):
    """On trial pairs the model does not run, gives no numbers, or not the same together as alone."""

    def __init__(self, model: str, trouble: str, remedy: str = SUPPORTED) -> None:
        super().__init__(f"Model {model!r} was tried and cannot be used: it {trouble}. {remedy}.")


class DeviceUnavailable(ModelError):
    """The device asked for does not exist here."""

    def __init__(self, device: str) -> None:
        super().__init__(
            f"Device {device!r} is not available to PyTorch here. Use cpu, or check the driver (nvidia-smi) "
            "and that PyTorch was installed with CUDA."
        )


class LengthUnsupported(ModelError):
    """A length that a job asks for does not fit the model or another length."""

    def __init__(self, model: str, setting: str, value: int, reason: str) -> None:
        super().__init__(f"{setting} {value} does not fit model {model!r}: {reason}.")


class NotInstalled(ModelError):
    """The packages that models need are not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"Scoring with a model needs {package}. Install it: pip install 'rankmill[worker]' "
            "(for a GPU install PyTorch for your CUDA first)."
        )

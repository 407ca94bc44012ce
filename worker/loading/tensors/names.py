"""Whether a model's weights came from its files, all of them, and the files hold no more of the encoder.

transformers fills what is missing with random numbers and drops what is left over, and only logs it.
"""

import re
from collections.abc import Mapping
from typing import Any

from rankmill.worker.errors import BrokenWeights, HeadMissing, Quantized, WeightsLeftOver
from rankmill.worker.loading.files.weight_files import some

# What bitsandbytes, GPTQ and AWQ store beside or instead of a weight.
SCALES = re.compile(
    r"\.(SCB|weight_format|absmax|quant_map|quant_state.*|qweight|qzeros|scales|g_idx|weight_scale.*)$"
)
# A pooler's output is read by BERT's own head only, which then does not leave it over or lack it.
POOLER = re.compile(r"(^|\.)pooler\.")
# Old versions stored what is made anew.
BUFFER = re.compile(r"(^|\.)(position_ids|token_type_ids|inv_freq)$")
ADAPTER = re.compile(r"(^|\.)(lora_|base_layer\.|adapters?\.|ia3_)")


def check_names(model: str, module: Any, report: Mapping[str, Any], *, is_headless: bool) -> None:
    """Raises a ModelError by what transformers reports of the names in the files."""
    left_over = {name for name in report["unexpected_keys"] if not POOLER.search(name)}
    if scales := {name for name in left_over if SCALES.search(name)}:
        raise Quantized(model, f"they hold {some(scales)}")
    if adapters := {name for name in left_over if ADAPTER.search(name)}:
        raise WeightsLeftOver(model, some(adapters))
    names, prefix = set(module.state_dict()), f"{module.base_model_prefix}."
    head = {name for name in names if not name.startswith(prefix)} if not is_headless else set()
    missing = {name for name in report["missing_keys"] if not (is_headless and POOLER.search(name))}
    missing -= {name for name, *_ in report["mismatched_keys"]}
    if missing >= head > set() and all(name in head or POOLER.search(name) for name in missing):
        raise HeadMissing(model, some(head))
    if missing:
        raise BrokenWeights(model, f"they lack {some(missing)}")
    if mismatched := report["mismatched_keys"]:
        raise BrokenWeights(model, _shapes(min(mismatched)))
    if own := _of_encoder(left_over, names, prefix):
        raise WeightsLeftOver(model, some(own))


def _shapes(mismatched: Any) -> str:
    name, *shapes = mismatched
    found, described = (" x ".join(map(str, shape)) for shape in shapes)
    return f"{name} is {found}, and config.json describes {described}"


def _of_encoder(left_over: set[str], names: set[str], prefix: str) -> set[str]:
    """Which names that nothing takes are of the encoder: one more layer, or one more part of a layer.

    Heads of other tasks lie outside, as does a decoder over the vocabulary.
    """
    modules = {_module_of(name, prefix) for name in names}
    return {
        name
        for name in left_over
        if not BUFFER.search(name) and (name.startswith(prefix) or _module_of(name, prefix) in modules)
    }


def _module_of(name: str, prefix: str) -> str:
    """The module that a weight is of, as seen from the encoder; the same for every layer."""
    return re.sub(r"\.\d+\.", ".*.", name.removeprefix(prefix)).rpartition(".")[0]

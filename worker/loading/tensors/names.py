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
ADAPTER = re.compile(r"(^|\.)(lora_|base_layer\.|adapters?\.|ia3_)")


def check_names(model: str, module: Any, report: Mapping[str, Any], *, is_headless: bool) -> None:
    """Raises a ModelError by what transformers reports of the names in the files."""
    left_over = {name for name in report["unexpected_keys"] if not POOLER.search(name)}
    if scales := {name for name in left_over if SCALES.search(name)}:
        raise Quantized(model, f"they hold {some(scales)}")
    if adapters := {name for name in left_over if ADAPTER.search(name)}:
        raise WeightsLeftOver(model, some(adapters))
    missing = {name for name in report["missing_keys"] if not (is_headless and POOLER.search(name))}
    prefix = f"{module.base_model_prefix}."
    if missing and not is_headless and not any(name.startswith(prefix) for name in missing):
        raise HeadMissing(model, some(missing))
    if missing:
        raise BrokenWeights(model, f"they lack {some(missing)}")
    names = set(module.state_dict())
    own = {name for name in left_over if _is_of_encoder(name, prefix, names)}
    if own:
        raise WeightsLeftOver(model, some(own))


def _is_of_encoder(name: str, prefix: str, names: set[str]) -> bool:
    """Whether a name that nothing takes is of the encoder: another layer, or one more part of a layer.

    Heads of other tasks lie outside; so does a decoder over the vocabulary.
    """
    inner = name if name.startswith(prefix) else prefix + name
    siblings = {re.sub(r"\.\d+\.", ".*.", known) for known in names}
    parent = re.sub(r"\.\d+\.", ".*.", inner).rpartition(".")[0]
    return name.startswith(prefix) or any(known.startswith(f"{parent}.") for known in siblings)

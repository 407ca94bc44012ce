"""Puts the modules that sentence-transformers keeps behind a transformer on top of it, with their weights."""

from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from rankmill.worker.errors import BrokenWeights, ModulesUnsupported, RemoteCodeRefused
from rankmill.worker.loading.files.modules import HeadModules, Step
from rankmill.worker.loading.files.weight_files import check_headers, some
from rankmill.worker.model.modular import (
    POOLED,
    SCORES,
    Dense,
    LayerNorm,
    ModularCrossEncoder,
    ModularHead,
    Normalize,
)

# A config names a class; of these only PyTorch's activations that take no arguments are made.
ACTIVATIONS = ("torch.nn.modules.activation.", "torch.nn.modules.linear.Identity", "torch.nn.")
NO_ACTIVATION_NAMED = "torch.nn.modules.activation.Tanh"


def with_head(model: str, base: Any, head: HeadModules) -> ModularCrossEncoder:
    """The transformer with its pooling and head. Raises ModelErrors for what does not fit together."""
    widths = {POOLED: int(base.config.hidden_size) * len(head.pooling)}
    steps = [_step(model, step, widths) for step in head.steps if step.kind != "Dropout"]
    if (found := widths.get(SCORES)) != 1:
        what = "gives no scores" if found is None else f"gives {found} scores a pair, and a cross-encoder one"
        raise ModulesUnsupported(model, f"its last module {what}")
    return ModularCrossEncoder(base, head.pooling, ModularHead(steps))


def _step(model: str, step: Step, widths: dict[str, int]) -> nn.Module:
    """A step as a module with its weights. `widths` are those of the features so far, and then of its own."""
    source, target = _names(model, step, widths)
    width = widths[source]
    match step.kind:
        case "Normalize":
            widths[target] = width
            return Normalize((source, target))
        case "LayerNorm":
            _check_width(model, step, "dimension", width)
            return _filled(model, step, LayerNorm(width))
        case _:
            _check_width(model, step, "in_features", width)
            widths[target] = _number(model, step, "out_features")
            dense = Dense(
                width,
                widths[target],
                _activation(model, step),
                (source, target),
                has_bias=bool(step.settings.get("bias", True)),
                is_residual=bool(step.settings.get("use_residual", False)),
            )
            return _filled(model, step, dense)


def _names(model: str, step: Step, widths: dict[str, int]) -> tuple[str, str]:
    """The features that a step reads and writes."""
    source = str(step.settings.get("module_input_name") or POOLED)
    if step.kind == "LayerNorm":
        source = POOLED
    if source not in widths:
        raise ModulesUnsupported(model, f"its module {step.name} reads {source!r}")
    return source, str(step.settings.get("module_output_name") or source)


def _check_width(model: str, step: Step, setting: str, width: int) -> None:
    if (named := _number(model, step, setting)) != width:
        raise ModulesUnsupported(model, f"its module {step.name} takes {named} numbers and gets {width}")


def _number(model: str, step: Step, setting: str) -> int:
    found = step.settings.get(setting)
    if not isinstance(found, int) or found < 1:
        raise ModulesUnsupported(model, f"its module {step.name} has {setting} {found!r}")
    return found


def _activation(model: str, step: Step) -> nn.Module:
    named = str(step.settings.get("activation_function") or NO_ACTIVATION_NAMED)
    if not named.startswith("torch."):
        raise RemoteCodeRefused(model, f"{step.name} names the activation {named}")
    kind = getattr(nn, named.rpartition(".")[2], None)
    if named.startswith(ACTIVATIONS) and isinstance(kind, type) and issubclass(kind, nn.Module):
        try:
            activation: nn.Module = kind()
        except TypeError:
            pass
        else:
            return activation
    raise ModulesUnsupported(model, f"its module {step.name} has the activation {named}")


def _filled(model: str, step: Step, module: nn.Module) -> nn.Module:
    """The module with the weights of its folder, all of them and no more, in fp32."""
    assert step.weights is not None, "a step without weights is made otherwise: a bug"
    try:
        check_headers(model, [step.weights])
        weights = load_file(step.weights)
    except (SafetensorError, OSError) as error:
        raise BrokenWeights(model, f"{step.name}: {error}") from error
    expected = module.state_dict()
    wrong = expected.keys() ^ weights.keys()
    wrong |= {
        name for name in expected.keys() & weights.keys() if weights[name].shape != expected[name].shape
    }
    if wrong:
        reason = f"{step.name} holds other weights than its config.json describes: {some(wrong)}"
        raise BrokenWeights(model, reason)
    module.load_state_dict(weights)
    return module

"""Folders that are something else than a model with its weights: each gets the reason that is true of it."""

from pathlib import Path

from rankmill.worker.errors import ModelError, NotAModel, NotMerged

ADAPTER = "adapter_config.json"


def check_is_a_model(model: str, directory: Path) -> None:
    """Raises a ModelError for adapters, and for a folder without config.json."""
    if (directory / ADAPTER).is_file():
        raise NotMerged(model)
    if not (directory / "config.json").is_file():
        raise _without_config(model, directory)


def _without_config(model: str, directory: Path) -> ModelError:
    checkpoints = sorted(
        path.parent.name for path in directory.glob("checkpoint-*/config.json") if path.parent.is_dir()
    )
    if checkpoints:
        return NotAModel(
            model, f"config.json; it is a trainer's folder, so name one of its own: {', '.join(checkpoints)}"
        )
    for pattern, kind in (("*.gguf", "GGUF"), ("*.onnx", "ONNX"), ("openvino*.xml", "OpenVINO")):
        if found := sorted(path.name for path in directory.glob(pattern)):
            return NotAModel(model, f"config.json; {found[0]} is {kind}, which is not read here")
    return NotAModel(model, "config.json")

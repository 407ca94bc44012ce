"""Records the logits that sentence-transformers and FlagEmbedding give; run where both are installed:

    python -m tests.worker.parity.references.make

Knows their public doors only. What it writes beside itself is compared by test_parity_with_references.
"""

import importlib.metadata
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.inputs.parity_pairs import MAX_LENGTH, PARITY_PAIRS
from tests.support.repository import ROOT

HERE = Path(__file__).parent
DEMO = ROOT / "worker" / "models" / "demo"
Pairs = Sequence[tuple[str, str]]


def sentence_transformers(directory: Path, pairs: Pairs) -> list[float]:
    """CrossEncoder's logits, in fp32 on the CPU."""
    import torch

    library: Any = importlib.import_module("sentence_transformers")
    model = library.CrossEncoder(
        str(directory), max_length=MAX_LENGTH, device="cpu", model_kwargs={"dtype": torch.float32}
    )
    found = model.predict(list(pairs), batch_size=8, activation_fn=torch.nn.Identity())
    return [float(logit) for logit in found]


def flag_embedding(directory: Path, pairs: Pairs) -> list[float]:
    """FlagReranker's logits, in fp32 on the CPU: query and document encoded apart, only the latter cut."""
    import torch

    library: Any = importlib.import_module("FlagEmbedding")
    torch.set_default_dtype(torch.float32)
    model = library.FlagReranker(
        str(directory), use_fp16=False, devices="cpu", max_length=MAX_LENGTH, batch_size=8
    )
    model.model.float()
    found: list[float] = model.compute_score([list(pair) for pair in pairs], normalize=False)
    return [float(logit) for logit in found]


REFERENCES: dict[str, Callable[[Path, Pairs], list[float]]] = {
    "sentence-transformers": sentence_transformers,
    "FlagEmbedding": flag_embedding,
}


def main() -> None:
    for name, logits in REFERENCES.items():
        packages = (name, "transformers", "torch")
        versions = {package: importlib.metadata.version(package) for package in packages}
        recorded = {"versions": versions, "logits": logits(DEMO, PARITY_PAIRS)}
        (HERE / f"{name}.json").write_text(json.dumps(recorded, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""sentence-transformers' CrossEncoder: PyTorch, or OpenVINO and ONNX Runtime in int8 (option `backend`).

The int8 models are made once, beside the weights, as its documentation shows: dynamically for ONNX Runtime,
for OpenVINO after calibration, on pairs that lie beside the weights too (`calibration.jsonl`).
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.contestants.protocol import Pairs, Setup, read_pairs, scoring, serve

BATCH = 32  # its default
CALIBRATION_TOKENS = 384


def load(setup: Setup) -> Any:
    import torch
    from sentence_transformers import CrossEncoder  # type: ignore[import-not-found, unused-ignore]

    backend = setup.options.get("backend", "torch")
    if backend == "torch":
        dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[setup.precision]
        arguments: dict[str, Any] = {"model_kwargs": {"dtype": dtype}}
    else:
        quantize = {"onnx": _quantize_onnx, "openvino": _quantize_openvino}[backend]
        arguments = {"backend": backend, "model_kwargs": {"file_name": quantize(setup)}}
    model = CrossEncoder(setup.model, max_length=setup.max_length, device=setup.device, **arguments)

    batch = int(setup.options.get("batch", BATCH))

    def score(pairs: Pairs) -> list[float]:
        found = model.predict(
            list(pairs), batch_size=batch, activation_fn=torch.nn.Identity(), show_progress_bar=False
        )
        return [float(logit) for logit in found]

    return scoring(score)


def _quantize_onnx(setup: Setup) -> str:
    from sentence_transformers import (  # type: ignore[import-not-found, unused-ignore]
        CrossEncoder,
        export_dynamic_quantized_onnx_model,
    )

    kind = _processor()
    name = f"model_int8_{kind}.onnx"
    if not (Path(setup.model) / "onnx" / name).exists():
        model = CrossEncoder(setup.model, backend="onnx", device="cpu", model_kwargs={"export": True})
        export_dynamic_quantized_onnx_model(model, kind, setup.model, file_suffix=f"int8_{kind}")
    return f"onnx/{name}"


def _quantize_openvino(setup: Setup) -> str:
    name = "openvino_model_int8.xml"
    folder = Path(setup.model) / "openvino"
    if not (folder / name).exists():
        import nncf  # type: ignore[import-not-found, unused-ignore]
        from optimum.intel.openvino import (  # type: ignore[import-not-found, unused-ignore]
            OVConfig,
            OVQuantizationConfig,
            OVQuantizer,
        )
        from sentence_transformers import CrossEncoder

        model = CrossEncoder(setup.model, backend="openvino", device="cpu", model_kwargs={"export": True})
        stock = model.transformers_model if hasattr(model, "transformers_model") else model.model
        samples = [
            dict(
                model.tokenizer(
                    query,
                    document,
                    padding="max_length",
                    max_length=CALIBRATION_TOKENS,
                    truncation=True,
                    return_tensors="pt",
                )
            )
            for query, document in read_pairs(str(Path(setup.model) / "calibration.jsonl"))
        ]
        with tempfile.TemporaryDirectory(dir=setup.model) as scratch:
            OVQuantizer.from_pretrained(stock).quantize(
                nncf.Dataset(samples),
                save_directory=scratch,
                ov_config=OVConfig(quantization_config=OVQuantizationConfig(num_samples=len(samples))),
            )
            folder.mkdir(exist_ok=True)
            for suffix in (".bin", ".xml"):
                (made,) = Path(scratch).rglob(f"*{suffix}")
                made.rename((folder / name).with_suffix(suffix))
    return f"openvino/{name}"


def _processor() -> str:
    """The kind of int8 instructions, as optimum names them."""
    description = Path("/proc/cpuinfo")
    flags = description.read_text() if description.exists() else ""
    if "avx512_vnni" in flags:
        return "avx512_vnni"
    return "avx512" if "avx512f" in flags else "avx2"


if __name__ == "__main__":
    serve(load)

"""No contestant but the yardstick: how fast this device multiplies matrices, as PyTorch's linear layers do.

Measures the shapes of the model's own layers and a square one, and answers with the fastest.
"""

import json
import time
from pathlib import Path
from typing import Any

from benchmarks.contestants.protocol import Answer, Order, Setup, serve

MEASURE_S = 0.4


def load(setup: Setup) -> Any:
    import torch

    device = torch.device(setup.device)
    dtype = getattr(torch, setup.precision)  # as PyTorch names it: what the engine said it computes in
    width = int(json.loads((Path(setup.model) / "config.json").read_text())["hidden_size"])
    rows = 16_384 if device.type == "cuda" else 4096
    square = 8192 if device.type == "cuda" else 2048
    shapes = [(rows, width, 4 * width), (rows, 4 * width, width), (rows, width, 3 * width)]
    shapes.append((square, square, square))

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    @torch.inference_mode()
    def rate(num_rows: int, num_in: int, num_out: int) -> float:
        left = torch.randn(num_rows, num_in).to(device, dtype)
        weight = torch.randn(num_out, num_in).to(device, dtype)
        bias = torch.zeros(num_out, device=device, dtype=dtype)
        torch.nn.functional.linear(left, weight, bias)
        wait()
        num_calls, started = 0, time.perf_counter()
        while time.perf_counter() - started < MEASURE_S:
            for _ in range(10 if device.type == "cuda" else 1):
                torch.nn.functional.linear(left, weight, bias)
                num_calls += 1
            wait()
        return 2 * num_rows * num_in * num_out * num_calls / (time.perf_counter() - started)

    def answer(_order: Order) -> Answer:
        started = time.perf_counter()
        best = max(rate(*shape) for shape in shapes)
        return {"seconds": time.perf_counter() - started, "rate": best}

    return answer


if __name__ == "__main__":
    serve(load)

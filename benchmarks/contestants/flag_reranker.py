"""FlagEmbedding's FlagReranker, with the batches of 32 that the others have."""

from typing import Any

from benchmarks.contestants.protocol import Pairs, Setup, scoring, serve

BATCH = 32


def load(setup: Setup) -> Any:
    import torch
    from FlagEmbedding import FlagReranker  # type: ignore[import-not-found, unused-ignore]

    torch.set_default_dtype(torch.float32)
    model = FlagReranker(
        setup.model,
        use_fp16=setup.precision == "fp16",
        devices=setup.device,
        max_length=setup.max_length,
        batch_size=BATCH,
    )
    if setup.precision == "fp32":
        model.model.float()

    def score(pairs: Pairs) -> list[float]:
        found = model.compute_score([list(pair) for pair in pairs], normalize=False)
        return [float(logit) for logit in found]

    return scoring(score)


if __name__ == "__main__":
    serve(load)

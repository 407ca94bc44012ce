"""infinity's engine in this process, without its HTTP server: all queries at once, as clients would send."""

import asyncio
from typing import Any

from benchmarks.contestants.protocol import Pairs, Setup, scoring, serve

BATCH = 32


def load(setup: Setup) -> Any:
    from infinity_emb import AsyncEmbeddingEngine, EngineArgs  # type: ignore[import-not-found, unused-ignore]

    arguments = EngineArgs(
        model_name_or_path=setup.model,
        engine="torch",
        device=setup.device.split(":")[0],
        dtype={"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}[setup.precision],
        batch_size=BATCH,
        bettertransformer=False,  # removed from the libraries it came with
        compile=False,
        model_warmup=False,
    )
    loop = asyncio.new_event_loop()
    engine = AsyncEmbeddingEngine.from_args(arguments)
    for replica in engine._model_replicas if hasattr(engine, "_model_replicas") else [engine._model]:
        replica.tokenizer.model_max_length = setup.max_length
    loop.run_until_complete(engine.astart())

    async def rerank(pairs: Pairs) -> list[float]:
        by_query: dict[str, list[int]] = {}
        for place, (query, _) in enumerate(pairs):
            by_query.setdefault(query, []).append(place)
        asked = [
            engine.rerank(query=query, docs=[pairs[place][1] for place in places], raw_scores=True)
            for query, places in by_query.items()
        ]
        logits = [0.0] * len(pairs)
        answers = await asyncio.gather(*asked)
        for places, (results, _) in zip(by_query.values(), answers, strict=True):
            for result in results:
                logits[places[result.index]] = float(result.relevance_score)
        return logits

    def score(pairs: Pairs) -> list[float]:
        return loop.run_until_complete(rerank(pairs))

    return scoring(score)


if __name__ == "__main__":
    serve(load)

"""The code that a model's card shows: pad and truncate batches of 32 in the order they come, and run them."""

from typing import Any

from benchmarks.contestants.protocol import Answer, Order, Pairs, Setup, scoring, serve

BATCH = 32


def load(setup: Setup) -> Any:
    import torch
    import transformers

    tokenizers: Any = transformers.AutoTokenizer
    models: Any = transformers.AutoModelForSequenceClassification
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[setup.precision]
    tokenizer = tokenizers.from_pretrained(setup.model)
    model = models.from_pretrained(setup.model, dtype=dtype).eval().to(setup.device)
    num_tokens: dict[str, int] = {}

    @torch.inference_mode()
    def score(pairs: Pairs) -> list[float]:
        logits: list[float] = []
        num_tokens.update(padded=0, real=0)
        for start in range(0, len(pairs), BATCH):
            queries, documents = zip(*pairs[start : start + BATCH], strict=True)
            inputs = tokenizer(
                list(queries),
                list(documents),
                padding=True,
                truncation=True,
                max_length=setup.max_length,
                return_tensors="pt",
            )
            num_tokens["padded"] += inputs["attention_mask"].numel()
            num_tokens["real"] += int(inputs["attention_mask"].sum())
            logits += model(**inputs.to(setup.device)).logits.float().view(-1).tolist()
        return logits

    def answer(order: Order) -> Answer:
        return {**scoring(score)(order), "num_padded_tokens": num_tokens["padded"]}

    return answer


if __name__ == "__main__":
    serve(load)

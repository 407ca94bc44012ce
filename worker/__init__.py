"""The side with the GPU: claims shards, scores their pairs, lands the scores.

The rooms in the order of a pair's flow:

- `process`: the worker's processes begin, hear a doorbell and stop; `app` configures Celery.
- `broker`: doorbells, rung and heard.
- `drain`: claims shards, loads their texts, has them scored, lands the results.
- `loading`: from a model's name to a scorer, checked and as fast as this device allows.
- `scorer`: the door to the engine: pairs and texts in, scores out.
- `tokenize`: texts become token ids.
- `batching`: how much of a pair is read, which sequences share a batch.
- `model`: a batch becomes logits.

Beside the flow: `maintenance` (rescue, follow-up and span rounds), `health` (stops, hangs, crashes, a store
that is away), `checks` (doctor and rescoring, asked by a person), `errors`. Importing this package imports
neither torch nor Celery.
"""

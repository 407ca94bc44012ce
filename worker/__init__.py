"""The side with the GPU: claims shards, scores their pairs, lands the scores.

The files in the order of the flow: tasks and drain hear the doorbell and call the steps;
`tokenization` turns texts into ids, `limits` and `windows` decide what of a pair is read, `packing`
chooses which sequences share a batch, `batches` lays them out, `cross_encoder` computes logits
behind the small door of `scorer`. Importing this package imports neither torch nor Celery.
"""

"""The side of the person with the corpus: reads it, records jobs, rings the doorbell, hands out results.

Stands on db and knows nothing of worker, models or tensors. Four doors lead in: Python (api), the command
line, HTTP, and the beat.
"""

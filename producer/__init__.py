"""The side of the person with the corpus: reads inputs, records jobs, tells workers, and gives out results.

Three ways in: Python (`api`), the command line (`command_line`) and Celery beat (`beat`). They lead to
`submission`, which takes `sources` and records a job; `running` scores it here; `results` and `downstream`
are what comes out. Stands on db; knows nothing of worker, models or tensors.
"""

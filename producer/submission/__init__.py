"""Inputs become a recorded job, and workers are told.

`inputs` are the sources and options of a job, `names` what it may be called, `scorer` what it is scored with,
`model_folder` checks a model's directory, `job_key` is what makes it the same job again; `record` puts it
into the store and `submit` tells workers. `sync` makes a collection or a query set equal to a source.
Knows no file formats, no command line and no Celery.
"""

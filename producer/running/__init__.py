"""A job from its inputs to its last score, here and now.

`run` records the job and waits; `supervisor` sees that it is scored, by a `local_worker` if need be;
`progress` says how far it is. Knows no command line and no files of results.
"""

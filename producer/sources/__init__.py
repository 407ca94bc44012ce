"""Where queries, candidates and documents come from.

`kinds` chooses the `source` for what was given: a `file`, `values` from Python, or what is `stored`. Files
and values are read one row at a time by `documents`, `queries` and `candidates`, which use `lines` and
`fields`. Knows no scorers, no broker and no command line.
"""

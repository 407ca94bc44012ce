"""What commands print.

`opening` has the streams, `wording` the units, `progress` a running job; `summary` and `after_job` its end;
`tables`, `rankings` and `deliveries` the rest, and `json_records` the same for programs. Texts of strangers
go through `excerpts` before a terminal shows them.
"""

"""Child processes: started, watched and stopped; and the signals that end this process.

`interruption` is for this process; `child` is any child, `scratch_folder` holds its socket and logs,
`local_redis` is a private broker, `worker_command` asks the worker's side a question. Knows no jobs.
"""

"""What a person asks for when something seems wrong.

`doctor` looks at this installation, `rescore` computes a stored score again, `flower` starts the monitor.
Loads no model itself: a process of the worker's side does.
"""

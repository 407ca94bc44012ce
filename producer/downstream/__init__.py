"""What follows the end of a job: its results are published, people are notified, changes go to receivers.

In the order of the flow: `follow_up` publishes and notifies; `change_formats` and `change_files` write the
changes of a ranking; `deliver` sends them to a `receiver`, which is of one of the `receiver_kinds`. Knows
neither queries nor documents, no terminal and no way in which scores are made.
"""

"""How a worker's processes begin, hear of work, stop and end.

Knows Celery's signals and its one task, and puts all other rooms together; computes nothing itself.
"""

"""Rounds that run beside the work, in threads of a worker's parent process: rescue, follow-up, spans.

Knows the store's verbs and doorbells; knows no scorer.
"""

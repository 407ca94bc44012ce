"""Names both sides of the broker agree on. Knows no broker.

A doorbell is a Celery message saying that work is ready. It carries a job's id as a hint and never text.
"""

import hashlib
import re

DRAIN_TASK = "rankmill.drain"


def queue_name(model: str) -> str:
    """The queue workers of `model` listen on: readable, safe for every broker, distinct per model."""
    readable = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[-40:]
    return f"rankmill.{readable}.{hashlib.sha256(model.encode()).hexdigest()[:8]}"

"""The key of a job: the same inputs and the same scorer are the same job."""

import hashlib
import json
from collections.abc import Mapping

from rankmill.db.records.scorers import ScorerSpec, spec_to_json

_KEY_VERSION = 1


def job_key(scorer: ScorerSpec, identities: Mapping[str, str]) -> str:
    """SHA-256 in hex of the scorer and the identity of each source by its name."""
    parts = {"version": _KEY_VERSION, "scorer": spec_to_json(scorer), "inputs": dict(identities)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

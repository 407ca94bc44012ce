"""Asks the worker's side something in a process of its own: JSON in, JSON out.

Knows how such a process is started and what its silence means; knows no model.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from rankmill.db.runtime.settings import Settings
from rankmill.producer.settings import child_environment

TIMEOUT_S = 600


def ask_worker(
    settings: Settings, model: str, words: Sequence[str], question: object = None
) -> dict[str, Any]:
    """The answer; it has a `problem`, in a sentence, when there is none to be had."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "rankmill.worker", *words],
            env=child_environment(settings, model=model),
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"did not answer within {TIMEOUT_S} s; see the network, or use a directory"}
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and (done.returncode == 0 or "problem" in answer):
        return answer
    said = done.stderr.strip().splitlines() or ["the worker's side said nothing"]
    return {"problem": said[-1]}

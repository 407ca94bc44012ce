"""Asks the worker's side a question in a process of its own: JSON in, JSON out.

Knows how such a process is started and what it means when it does not answer; knows no model.
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
    """The answer, or a `problem` in a sentence when there is no answer."""
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
        return {"problem": f"no answer within {TIMEOUT_S} s: check the network, or use a model directory"}
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and (done.returncode == 0 or "problem" in answer):
        return answer
    lines = done.stderr.strip().splitlines() or ["the worker's side gave no answer"]
    return {"problem": lines[-1]}

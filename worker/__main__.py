"""`python -m rankmill.worker` starts a worker; with `doctor --model M` it examines model M on this machine.

All else comes from the settings (RANKMILL_* variables, .env). Knows exit codes; loads no model itself.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from rankmill.db.runtime.foreign_variables import drop_foreign

EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 after a soft stop, 2 for wrong settings, 3 for a missing prerequisite, 4 when
    the scoring process crashes again and again.
    """
    drop_foreign()
    parser = argparse.ArgumentParser(prog="python -m rankmill.worker", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    doctor = commands.add_parser("doctor", help="load a model and print what is found of it on this machine")
    doctor.add_argument("--model")
    doctor.add_argument("--revision")
    doctor.add_argument("--precision")
    doctor.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    commands.add_parser("rescore", help="score the pair on standard input again")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "doctor":
            from rankmill.worker.checks.doctor import examine

            return examine(chosen.model, chosen.revision, chosen.precision, is_json=chosen.json)
        if chosen.command == "rescore":
            from rankmill.worker.checks.rescore import rescore

            return rescore()
        return _work()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            name = str(problem["loc"][0]) if problem["loc"] else "settings"
            print(f"RANKMILL_{name.upper()}: {problem['msg']}", file=sys.stderr)  # noqa: T201
        return EXIT_USAGE


def _work() -> int:
    os.dup2(2, 1)  # Celery prints greetings to standard output, which is for results
    from rankmill.worker.app import start_worker

    return start_worker()


if __name__ == "__main__":
    sys.exit(main())

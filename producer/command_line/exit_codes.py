"""How commands end: each error becomes a sentence on standard error and an exit code, not a traceback.

0 done · 2 usage · 3 missing prerequisite · 4 resource exhausted · 5 invalid input · 6 runtime failure ·
7 finished with some pairs failed · 128 + the signal's number when interrupted (130 for Ctrl-C).
"""

import errno
import sys
from collections.abc import Callable

from rankmill.producer.errors import RankmillError
from rankmill.producer.processes.debug_flag import wants_debug

DONE = 0
USAGE = 2
MISSING = 3
EXHAUSTED = 4
INVALID = 5
FAILURE = 6
SOME_FAILED = 7

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE}


def exit_code_of(command: Callable[[], None]) -> int:
    """Runs `command`, prints its error if there is one, and returns the exit code."""
    try:
        command()
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else FAILURE if exit_.code else DONE
    except BaseException as error:
        code, message = exit_code_and_message(error)
        if wants_debug():
            import traceback

            from rankmill.db.runtime.log_events import without_secrets

            print(without_secrets(traceback.format_exc()), file=sys.stderr)  # noqa: T201
        if message:
            print(message, file=sys.stderr)  # noqa: T201
        return code
    return DONE


def exit_code_and_message(error: BaseException) -> tuple[int, str]:
    """The exit code of an error and its message, which may be empty."""
    if isinstance(error, RankmillError):
        return error.exit_code, f"error: {error}"
    if isinstance(error, BrokenPipeError):
        from rankmill.producer.results.files import silence_standard_output

        silence_standard_output()
        return DONE, ""
    if isinstance(error, OSError) and error.errno in _FULL:
        return EXHAUSTED, f"error: {error}. Free some, then run the same command again: it continues."
    if isinstance(error, MemoryError):
        return EXHAUSTED, "error: out of memory. Free some, then run the same command again: it continues."
    if (interrupted := _interrupted(error)) is not None:
        return interrupted
    if (in_store := _store_error(error)) is not None:
        return in_store
    from rankmill.db.runtime.log_events import without_secrets

    first = without_secrets(f"{type(error).__name__}: {error}").splitlines()[0].rstrip(": .")
    return FAILURE, f"error: unexpected {first}. To see more: --debug (RANKMILL_DEBUG=1)"


def _interrupted(error: BaseException) -> tuple[int, str] | None:
    import signal

    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT, "interrupted"
    if "rankmill.producer.processes.interruption" in sys.modules:
        from rankmill.producer.processes.interruption import Interrupted

        if isinstance(error, Interrupted):
            return 128 + error.signum, "interrupted; the same command continues"
    return None


def _store_error(error: BaseException) -> tuple[int, str] | None:
    from rankmill.db import errors

    missing = (
        errors.StoreUnavailable,
        errors.StoreNotMigrated,
        errors.StoreNewer,
        errors.StoreReadOnly,
        errors.WrongEncoding,
        errors.MissingDriver,
        errors.WeightsChanged,
    )
    if isinstance(error, missing):
        return MISSING, f"error: {error}"
    if isinstance(error, errors.StoreFull):
        return EXHAUSTED, f"error: {error}"
    if isinstance(error, errors.UnstorableText):
        return INVALID, f"error: {error}"
    wrong = (
        errors.UnknownJob,
        errors.UnknownPair,
        errors.UnknownName,
        errors.NameTaken,
        errors.JobCancelled,
        errors.ScheduleExists,
        errors.StillNeeded,
        errors.WrongStoreUrl,
        errors.UnknownRanking,
        errors.NothingToRollBackTo,
        errors.ReceiverTaken,
    )
    if isinstance(error, wrong):
        return USAGE, f"error: {error}"
    if isinstance(error, errors.StoreBusy):
        return FAILURE, f"error: {error} Run the same command again: it continues."
    if isinstance(error, errors.StoreError):
        return FAILURE, f"error: {error}"
    return None

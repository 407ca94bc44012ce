"""What was cut, in a sentence and in a cell of a table. Pure; knows the counts and no store."""

from rankmill.db.results.truncation import Cuts
from rankmill.producer.command_line.output.wording import counted


def told(cuts: Cuts) -> str:
    """ "212 of 4,100 pairs needed windows; nothing was cut"; empty when nothing is read yet."""
    if not cuts.num_read:
        return ""
    return f"{_windows(cuts)}; {_ends(cuts)}"


def briefly(cuts: Cuts | None) -> str:
    """ "whole", or "212 in windows, 1 cut"; "…" when it was not counted, empty when nothing is read yet."""
    if cuts is None:
        return "…"
    parts = [
        f"{number:,} {what}"
        for number, what in (
            (cuts.num_windowed, "in windows"),
            (cuts.num_truncated, "cut"),
            (cuts.num_query_truncated, "with the query cut"),
        )
        if number
    ]
    return ", ".join(parts) if parts else "whole" if cuts.num_read else ""


def _windows(cuts: Cuts) -> str:
    if not cuts.num_windowed:
        return "no pair needed windows"
    return f"{cuts.num_windowed:,} of {counted(cuts.num_read, 'pair')} needed windows"


def _ends(cuts: Cuts) -> str:
    ends = [
        f"{counted(number, 'pair')} lost the end of {what}, see `{column}`"
        for number, what, column in (
            (cuts.num_truncated, "the document", "truncated"),
            (cuts.num_query_truncated, "the query", "query_truncated"),
        )
        if number
    ]
    return " and ".join(ends) if ends else "nothing was cut"

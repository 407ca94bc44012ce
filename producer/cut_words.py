"""What was cut, in a sentence. Pure; knows the counts and no store."""

from db.cuts import Cuts
from producer.screen import counted


def told(cuts: Cuts) -> str:
    """ "212 of 4,100 pairs needed windows; nothing was cut"; empty when nothing is read yet."""
    if not cuts.num_read:
        return ""
    return f"{_windows(cuts)}; {_ends(cuts)}"


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

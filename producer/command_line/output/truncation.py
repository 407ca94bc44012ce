"""What was truncated, in a sentence and in a cell of a table. Pure functions of the counts."""

from rankmill.db.results.truncation import TruncationCounts
from rankmill.producer.command_line.output.wording import counted


def truncation_sentence(truncation_counts: TruncationCounts) -> str:
    """ "212 of 4,100 pairs needed windows; nothing was cut"; empty when nothing is read yet."""
    if not truncation_counts.num_read:
        return ""
    return f"{_windows(truncation_counts)}; {_ends(truncation_counts)}"


def truncation_cell(truncation_counts: TruncationCounts | None) -> str:
    """ "whole", or "212 in windows, 1 cut"; "…" when it was not counted, empty when nothing is read yet."""
    if truncation_counts is None:
        return "…"
    parts = [
        f"{number:,} {what}"
        for number, what in (
            (truncation_counts.num_windowed, "in windows"),
            (truncation_counts.num_truncated, "cut"),
            (truncation_counts.num_query_truncated, "with the query cut"),
        )
        if number
    ]
    return ", ".join(parts) if parts else "whole" if truncation_counts.num_read else ""


def _windows(truncation_counts: TruncationCounts) -> str:
    if not truncation_counts.num_windowed:
        return "no pair needed windows"
    return (
        f"{truncation_counts.num_windowed:,} of {counted(truncation_counts.num_read, 'pair')} needed windows"
    )


def _ends(truncation_counts: TruncationCounts) -> str:
    ends = [
        f"{counted(number, 'pair')} lost the end of {what}, see `{column}`"
        for number, what, column in (
            (truncation_counts.num_truncated, "the document", "truncated"),
            (truncation_counts.num_query_truncated, "the query", "query_truncated"),
        )
        if number
    ]
    return " and ".join(ends) if ends else "nothing was cut"

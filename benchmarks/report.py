"""Prints a table and keeps it under benchmarks/results/. Knows nothing of what was measured."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.hardware import describe

RESULTS = Path(__file__).parent / "results"


def publish(
    name: str, title: str, header: Sequence[str], rows: Sequence[Sequence[object]], notes: str = ""
) -> None:
    """Print the table and write it to results/NAME.md."""
    lines = [f"# {title}", "", describe(), ""]
    lines.append("| " + " | ".join(header) + " |")
    lines.append("|" + "---|" * len(header))
    lines += ["| " + " | ".join(_shown(cell) for cell in row) + " |" for row in rows]
    if notes:
        lines += ["", notes]
    text = "\n".join(lines) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    print(text)


def _shown(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.3f}" if abs(cell) < 10 else f"{cell:,.1f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)

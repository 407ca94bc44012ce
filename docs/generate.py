"""Write the generated parts of README.md and docs/*.md anew, or with --check say which are stale.

A part stands between `<!-- NAME -->` and `<!-- /NAME -->`; the parts are `settings` (the table of
RANKMILL_* variables) and `help` (what `rankmill --help` prints). Knows no prose.
Run: make docs
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from rankmill.db.runtime.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
HELP_COLUMNS = 100


def settings_table() -> str:
    """Every setting as a row of a Markdown table: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `RANKMILL_{name.upper()}` | {_default(field)} | {meaning} |")
    return "\n".join(rows)


def help_text() -> str:
    """What `rankmill --help` prints on a terminal of 100 columns, fenced."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RANKMILL_")}
    environment |= {"TERMINAL_WIDTH": str(HELP_COLUMNS), "COLUMNS": str(HELP_COLUMNS), "NO_COLOR": "1"}
    environment |= {"TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-c", "from rankmill.producer.command_line import main; main()", "--help"]
    printed = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.rstrip() for line in printed.stdout.strip("\n").splitlines()]
    return "\n".join(["```console", "$ rankmill --help", *lines, "```"])


PARTS: dict[str, Callable[[], str]] = {"settings": settings_table, "help": help_text}


def render(text: str) -> str:
    """`text` with every generated part in it written anew."""
    for name, part in PARTS.items():
        opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
        if opening in text:
            before, rest = text.split(opening, 1)
            after = rest.split(closing, 1)[1]
            text = f"{before}{opening}\n{part()}\n{closing}{after}"
    return text


def pages() -> Iterator[Path]:
    """The Markdown files that may have generated parts."""
    yield from (path for path in [ROOT / "README.md"] if path.exists())
    yield from sorted((ROOT / "docs").rglob("*.md"))


def main(arguments: list[str]) -> int:
    """Write stale pages anew; with --check only name them, and return 1 if there are any."""
    stale = [path for path in pages() if render(text := path.read_text(encoding="utf-8")) != text]
    for path in stale:
        if "--check" not in arguments:
            path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    return int(bool(stale) and "--check" in arguments)


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return f"`{_default_store()}`"
    if field.default is None:
        return ""
    return f"`{field.default}`"


def _default_store() -> str:
    """The default store as a reader would write it, whoever generates this and wherever."""
    chosen = os.environ.pop("XDG_DATA_HOME", None)
    try:
        factory = Settings.model_fields["store"].default_factory
        assert factory is not None
        url: str = factory()  # type: ignore[call-arg]  # takes no validated fields
        return url.replace(str(Path.home()), "~")
    finally:
        if chosen is not None:
            os.environ["XDG_DATA_HOME"] = chosen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

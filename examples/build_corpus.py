"""Build corpus.jsonl (BEIR layout) from the contracts beside this script.

The first line of each text file is the title; what follows is the text; the file's name is the id.
Run `python examples/build_corpus.py` after editing a contract. The result depends on the texts alone.
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent


def read_contract(path: Path) -> dict[str, str]:
    """Return one contract as a BEIR document."""
    title, _, text = path.read_text(encoding="utf-8").partition("\n")
    if not title.strip() or not text.strip():
        raise ValueError(f"{path.name}: wanted a title on the first line and a text below it")
    return {"_id": path.stem, "title": title.strip(), "text": text.strip()}


def build(folder: Path) -> str:
    """Return every contract in the folder as JSON lines, in order of id."""
    contracts = [read_contract(path) for path in sorted(folder.glob("*.txt"), key=lambda path: path.stem)]
    return "".join(json.dumps(contract, ensure_ascii=False) + "\n" for contract in contracts)


if __name__ == "__main__":
    (HERE / "corpus.jsonl").write_text(build(HERE / "contracts"), encoding="utf-8", newline="\n")

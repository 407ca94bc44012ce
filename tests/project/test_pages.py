"""The pages say what the program does today: generated parts, rooms, tables, links and paths."""

import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

from docs import generate
from rankmill.db import schema
from rankmill.db.runtime.settings import Settings
from rankmill.db.schema.base import metadata
from rankmill.db.schema.views import VIEWS
from tests.support.repository import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = ("rankmill.producer", "rankmill.worker", "rankmill.db")
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
PATH_IN_CODE = re.compile(
    r"`((?:db|producer|worker|tests|benchmarks|docs|training|examples)/[\w./-]+\.\w+)[`:]"
)


def test_a_part_between_its_markers_is_written_anew_and_the_rest_is_left_alone() -> None:
    text = generate.render("before\n<!-- settings -->\nold\n<!-- /settings -->\nafter\n")
    assert text.startswith("before\n<!-- settings -->\n| variable |")
    assert text.endswith("|\n<!-- /settings -->\nafter\n")
    assert generate.render(text) == text


def test_every_setting_has_a_default_or_none_and_a_meaning_in_the_table() -> None:
    rows = generate.settings_table().splitlines()[2:]
    assert len(rows) == len(Settings.model_fields)
    for name, row in zip(Settings.model_fields, rows, strict=True):
        assert row.startswith(f"| `RANKMILL_{name.upper()}` | "), row
        assert not row.endswith("|  |"), f"{name} has no description in db/runtime/settings.py"
    assert "| `sqlite:///~/.local/share/rankmill/rankmill.db` |" in rows[0]


def test_the_readme_has_the_settings_table_and_the_help() -> None:
    for name in generate.PARTS:
        assert f"<!-- {name} -->" in README, name
        assert f"<!-- /{name} -->" in README, name


def test_generated_parts_are_up_to_date() -> None:
    stale = [
        str(path.relative_to(generate.ROOT))
        for path in generate.pages()
        if generate.render(path.read_text(encoding="utf-8")) != path.read_text(encoding="utf-8")
    ]
    assert stale == [], "run: make docs"


def test_every_table_and_view_of_the_store_is_in_the_architecture() -> None:
    for module in pkgutil.iter_modules(schema.__path__, f"{schema.__name__}."):
        importlib.import_module(module.name)  # a table is known once its module is
    names = {*metadata.tables, *VIEWS}
    assert len(names) > 30
    assert [name for name in sorted(names) if f"`{name}`" not in ARCHITECTURE] == []


def test_the_rooms_in_the_architecture_are_those_of_the_import_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = {
        contract["containers"][0]: [set(layer.split(" | ")) for layer in contract["layers"]]
        for contract in contracts["contracts"]
        if contract.get("containers", [""])[0] in PACKAGES
    }
    assert layers.keys() == set(PACKAGES)
    assert rooms_in_picture() == layers


def rooms_in_picture() -> dict[str, list[set[str]]]:
    """By package the lines of rooms as the page shows them."""
    picture = ARCHITECTURE.split("<!-- rooms -->")[1].split("<!-- /rooms -->")[0].strip().strip("`")
    rooms: dict[str, list[set[str]]] = {}
    for block in picture.strip().split("\n\n"):
        package, *lines = (re.split(r"\s{2,}", line.strip())[0] for line in block.splitlines())
        rooms[package] = [set(line.split(" | ")) for line in lines]
    return rooms


def test_every_link_between_pages_leads_somewhere() -> None:
    wrong = [f"{page.relative_to(ROOT)}: {link}" for page in our_pages() for link in broken_links(page)]
    assert wrong == []


def broken_links(page: Path) -> list[str]:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    return [link for link in links if not re.match(r"https?://|mailto:", link) and not leads(page, link)]


def leads(page: Path, link: str) -> bool:
    """Whether a relative link's file is there, and its heading if it names one."""
    place, _, heading = link.partition("#")
    target = (page.parent / place).resolve() if place else page
    if not target.exists():
        return False
    return not heading or heading in headings(target.read_text(encoding="utf-8"))


def headings(text: str) -> set[str]:
    """Headings as GitHub links to them."""
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_path_of_code_that_a_page_names_is_there() -> None:
    wrong = [
        f"{page.relative_to(ROOT)}: {path}"
        for page in our_pages()
        for path in PATH_IN_CODE.findall(page.read_text(encoding="utf-8"))
        if not (ROOT / path).exists()
    ]
    assert wrong == []


def test_every_test_that_a_page_names_is_there() -> None:
    named = {test for page in our_pages() for test in NAMED_TEST.findall(page.read_text(encoding="utf-8"))}
    assert len(named) > 50
    wrong = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if not (ROOT / path).exists() or f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert wrong == []


def our_pages() -> list[Path]:
    """The repository's Markdown files, but for those in folders that benchmarks or tools made."""
    found = [path.relative_to(ROOT) for path in ROOT.rglob("*.md")]
    pages = [ROOT / path for path in found if not any(part.startswith(".") for part in path.parts)]
    assert len(pages) > 40
    return pages

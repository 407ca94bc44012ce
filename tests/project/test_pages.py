"""The generated parts of README.md and docs/ say what the program does today."""

from docs import generate
from rankmill.db.runtime.settings import Settings

README = (generate.ROOT / "README.md").read_text(encoding="utf-8")


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

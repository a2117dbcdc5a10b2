"""A gateway that was upgraded finds what 0.1 left on its disk."""

from __future__ import annotations

from pathlib import Path

from services.model_gateway.state_folder import rename_files_of_0_1


def test_records_and_alias_of_0_1_are_found_under_their_present_names(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "000000000001.jsonl").write_text("{}\n")
    (tmp_path / "journal" / "said.json").write_text('{"segment": 1, "offset": 0}')
    (tmp_path / "flag.json").write_text("{}")
    for _ in range(2):
        rename_files_of_0_1(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {
        "outbox/000000000001.jsonl", "outbox/published.json", "champion_alias.json",
    }  # fmt: skip


def test_a_present_file_is_never_replaced_by_an_old_one(tmp_path: Path) -> None:
    (tmp_path / "flag.json").write_text("old")
    (tmp_path / "champion_alias.json").write_text("new")
    rename_files_of_0_1(tmp_path)
    assert (tmp_path / "champion_alias.json").read_text() == "new"

"""docs/architecture.md matches the code: its diagrams and tables are up to date."""

from pathlib import Path

from docs.make_diagrams import DOCUMENT, EVERYWHERE, diagram, edges_of, filled

ROOT = Path(__file__).parent.parent


def test_the_diagrams_and_tables_are_those_of_the_code() -> None:
    document = DOCUMENT.read_text("utf-8")
    assert document == filled(document), "run: .venv/bin/python -m docs.make_diagrams"


def test_every_module_is_in_a_table() -> None:
    document = DOCUMENT.read_text("utf-8")
    for package in EVERYWHERE:
        names = [path.relative_to(ROOT / package).as_posix() for path in (ROOT / package).rglob("*.py")]
        assert names
        shown = {name.removesuffix("__init__.py") for name in names} - {""}
        assert {name for name in shown if f"| `{name}` |" not in document} == set()


def test_the_bot_reaches_the_generator_and_never_the_other_way_round() -> None:
    assert any("generator" in ends for ends in edges_of("bot").values())
    assert not any("frontend" in ends or "bot" in ends for ends in edges_of("generator").values())


def test_an_arrow_that_follows_from_two_others_is_left_out_and_circles_stay() -> None:
    drawn = diagram({"a": {"b", "c"}, "b": {"c"}, "c": {"b"}, "d": {"a", "b"}})
    assert "a --> b" in drawn and "a --> c" in drawn
    assert "b --> c" in drawn and "c --> b" in drawn
    assert "d --> a" in drawn and "d --> b" not in drawn


def test_a_document_out_of_date_is_mended_and_one_without_marks_is_left_alone() -> None:
    marked = "<!-- states of a job -->\nold\n<!-- end of states of a job -->"
    assert "queued --> running" in filled(marked) and "old" not in filled(marked)
    assert filled("nothing to fill") == "nothing to fill"

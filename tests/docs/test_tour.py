"""Links of docs/tour.md lead to the lines of the code where its steps begin."""

import pytest

from docs.tour_links import LINK, TOUR, line_of, relinked


def test_each_link_leads_to_the_line_of_its_definition() -> None:
    document = TOUR.read_text("utf-8")
    assert document == relinked(document), "run: .venv/bin/python -m docs.make_diagrams"


def test_the_tour_has_twenty_steps_and_each_has_a_link() -> None:
    steps = [line for line in TOUR.read_text("utf-8").splitlines() if line[:1].isdigit()]
    assert [line.split(".")[0] for line in steps] == [str(number) for number in range(1, 21)]
    assert all(LINK.search(line) for line in steps)


def test_a_link_that_is_out_of_date_is_mended() -> None:
    line = line_of("Scheduler.take", "bot/service/scheduler.py")
    assert relinked("[`Scheduler.take`](../bot/service/scheduler.py#L1)").endswith(f"#L{line})")


@pytest.mark.parametrize("name", ["Scheduler.given", "nothing"])
def test_a_name_that_is_gone_is_an_error(name: str) -> None:
    with pytest.raises(LookupError, match=name):
        line_of(name, "bot/service/scheduler.py")

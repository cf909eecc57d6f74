"""The numbers of slots."""

from pathlib import Path

from search.slot import take_number


def test_actors_that_live_at_once_have_numbers_of_their_own(tmp_path: Path) -> None:
    first, lock = take_number(tmp_path)
    second, other = take_number(tmp_path)
    assert (first, second) == (0, 1)
    lock.release()
    third, again = take_number(tmp_path)
    assert third == 0
    other.release()
    again.release()

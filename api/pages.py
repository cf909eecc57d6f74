"""Pages of a listing: how long one is, and where the next one starts."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

from api.routes.paths import LARGEST_ID

MAX_PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 100

PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)]
PageToken = Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="next_page_token of the page before.")]
Item = TypeVar("Item")


def cut(items: Sequence[Item], size: int, key: Callable[[Item], int]) -> tuple[Sequence[Item], str | None]:
    """Split ``size`` + 1 items read, or fewer, into a page and the token of the next one (its last item's key)."""
    page = items[:size]
    return page, str(key(page[-1])) if len(items) > size else None

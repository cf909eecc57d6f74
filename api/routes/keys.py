"""API keys, for admins: made, listed, revoked."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response, status
from pydantic import BaseModel, ConfigDict, Field

from api.authentication import AdminGiven, get_admin
from api.dependencies import ReadSession, WriteSession
from api.idempotency import IdempotentRoute
from api.pages import DEFAULT_PAGE_SIZE, PageSize, PageToken, cut
from api.routes.paths import LARGEST_ID
from api.schemas import CreatedKey, KeyPage, KeyResponse
from studies import service
from studies.records import Role

router = APIRouter(tags=["keys"], prefix="/keys", dependencies=[Depends(get_admin)], route_class=IdempotentRoute)

KeyId = Annotated[int, Path(ge=1, le=LARGEST_ID)]


class KeyRequest(BaseModel):
    """A key to make."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"role": "write", "name": "laptop", "owner": "ada"}]}
    )

    role: Role
    name: str = Field(description="What people call it: 1 to 200 printable characters.")
    owner: str | None = Field(None, description="Whose rows it shows; yours when left out.")


@router.post("", status_code=status.HTTP_201_CREATED)
def create_key(request: KeyRequest, session: WriteSession, admin: AdminGiven, response: Response) -> CreatedKey:
    """Make a key; the answer is the only place where it can ever be read."""
    response.headers["Cache-Control"] = "no-store"  # which also keeps it out of the answers that are stored
    key, text = service.create_key(session, request.owner or admin.owner, request.role, request.name)
    return CreatedKey(**KeyResponse.model_validate(key).model_dump(), key=text)


@router.get("")
def list_keys(session: ReadSession, page_size: PageSize = DEFAULT_PAGE_SIZE, page_token: PageToken = None) -> KeyPage:
    """List the keys of every owner, revoked ones too, newest first."""
    found = service.list_keys(session, page_token, page_size + 1)
    page, token = cut(found, page_size, lambda key: key.id)
    return KeyPage(keys=[KeyResponse.model_validate(key) for key in page], next_page_token=token)


@router.delete("/{key_id}", status_code=status.HTTP_204_NO_CONTENT)
def revoke_key(key_id: KeyId, session: WriteSession) -> None:
    """End a key and the browser sessions that were opened with it."""
    service.revoke_key(session, key_id)

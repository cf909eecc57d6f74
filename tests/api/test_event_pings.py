"""Comments in an event stream, which keep it open, are no events."""

import httpx

from api.transport.events import EventReader

STREAM = """\
: ping before everything

id: 3
event: study
data: {"state": "RUNNING"}

: ping

event: end
data: {"state": "COMPLETED"}

"""


def test_a_ping_is_no_event() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, text=STREAM)

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://test") as http:
        events = list(EventReader(http, "/events"))
    assert [(event.kind, event.data, event.last_id) for event in events] == [
        ("study", {"state": "RUNNING"}, "3"),
        ("end", {"state": "COMPLETED"}, "3"),
    ]

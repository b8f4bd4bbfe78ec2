"""Header names of the wire, lower case as ASGI has them."""

AUTHORIZATION = "authorization"
REQUEST_ID = "x-request-id"
"""Identifies one request in the answer, in every log and at every hop. openai-python shows it as `error.request_id`."""

RETRY_AFTER = "retry-after"
SHOULD_RETRY = "x-should-retry"
"""Read by the official OpenAI clients, which else retry twice by themselves."""

SERVED_BY = "x-scout-served-by"
"""The tier that answered: `on-prem`, `openai`, `database`, `cached` or `static`."""

ROUTE = "x-scout-route"
"""Of a request: the row of the routing table that its client wants. Of an answer: the one that it took."""

SESSION = "x-scout-session"
"""The conversation's id: what the client sends as `sessionId` with its next message."""

CACHE = "x-scout-cache"
"""How a kept answer was found: `hit`, `shared` (another client's was joined), `preloaded` or `stale`."""

REPLICA = "x-scout-replica"
"""The replica that answered, by name: what an operator wants to know first."""

ACCEL_BUFFERING = "x-accel-buffering"
"""`no` tells an nginx in front of us to pass a stream on as it comes."""

UPSTREAM_CONNECT = "x-upstream-connect"
"""On nginx's own errors: the seconds that connecting to the engine took, "-" where it could not be connected to."""

DEADLINE_MS = "x-scout-deadline-ms"
"""A client's own deadline for the whole answer, in milliseconds. It can only shorten ours."""

PRIORITY = "x-scout-priority"
"""`batch` lets interactive requests pass in the queue; `interactive` is what a route has anyway."""

RESUMED = "x-scout-resumed"
"""In the last chunks of a stream: how often it was carried on by another replica. Absent means never."""

EXPOSED = (REQUEST_ID, RETRY_AFTER, SHOULD_RETRY, SERVED_BY, REPLICA, ROUTE, SESSION, CACHE)
"""What a browser's script may read across origins."""

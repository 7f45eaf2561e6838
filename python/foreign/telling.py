"""Requests, and the lines of an access log that tell of them, as much as a source tells."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import lru_cache
from typing import Callable, NamedTuple

TELLINGS = ("all", "combined", "noreferer", "noagent", "bare")
"""How much a log says.

`combined` is what the format of that name holds: whole seconds, no duration, no size of the request and no
key. `bare` is time, address, method, path and status, with whole seconds too. The other two are like `all`
without the one field: logs that were stripped for privacy, and gateways that never had it.
"""


class Client(NamedTuple):
    """Somebody who sends requests; the labels are the truth about it."""

    address: str
    agent: str
    actor: str
    kind: str
    abusive: bool = False
    key: str = ""
    """An API key, where the site has such and logs which was used."""
    session: bool = False
    """Whether it is logged in, by a cookie or a token that no log tells."""

    @property
    def known(self) -> bool:
        """Whether it is no stranger to the site."""
        return self.session or bool(self.key)


class Request(NamedTuple):
    """One request with its answer, as a gateway sees both."""

    at: float
    """When it came, in seconds since 1970."""
    client: Client
    method: str
    path: str
    """With the query."""
    status: int
    size: int
    """Bytes of the answer's body."""
    took: float
    """Milliseconds."""
    body: int
    """Bytes of the request's body."""
    referer: str


@lru_cache(maxsize=8192)
def _second(whole: int) -> str:
    return datetime.fromtimestamp(whole, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


_quote = lru_cache(maxsize=65536)(json.dumps)


def teller(telling: str) -> Callable[[Request], str]:
    """A function that writes a request as a line without its end.

    Raises `ValueError` for a telling that is none.
    """
    if telling not in TELLINGS:
        raise ValueError(f"telling {telling!r} is none of {', '.join(TELLINGS)}")
    full = telling not in ("combined", "bare")
    agent = telling not in ("noagent", "bare")
    referer = telling not in ("noreferer", "bare")
    bare = telling == "bare"

    def line(request: Request) -> str:
        # By hand: a run writes millions of lines, and this is several times as fast as a dict and `dumps`.
        whole = int(request.at)
        if full:
            time = f"{_second(whole)}.{int((request.at - whole) * 1000):03d}Z"
        else:
            time = f"{_second(whole)}Z"
        client = request.client
        text = (
            f'{{"time":"{time}","client_ip":"{client.address}","method":"{request.method}",'
            f'"path":{_quote(request.path)},"status":{request.status}'
        )
        if bare:
            return text + "}"
        text += f',"bytes":{request.size}'
        if referer:
            text += f',"referer":{_quote(request.referer or "-")}'
        if agent:
            text += f',"user_agent":{_quote(client.agent or "-")}'
        if full:
            text += f',"duration_ms":{request.took:.1f},"payload":{request.body}'
            if client.key:
                text += f',"credential":"{client.key}"'
        return text + "}"

    return line


def label(number: int, client: Client) -> str:
    """The row of `labels.csv` for the line of this number."""
    return f"{number},{client.actor},{client.kind},{'true' if client.abusive else 'false'}"

"""A subscription by GET /events, read by a thread of its own."""
import http.client
import json
import threading

from kvserver import PATIENCE_S


class EventStream:
    """A subscription to a prefix, with its present state first; or to what the query says. A subclass receives the events by take(kind, payload),
    and must set the members that this needs before it calls this constructor."""

    def __init__(self, server, prefix, query=None):
        self.is_synced, self.has_ended = threading.Event(), threading.Event()
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        self.connection.request("GET", "/events?" + (query or f"prefix={prefix}&initial=true&meta=true"))
        self.stream = self.connection.getresponse()
        threading.Thread(target=self.read, daemon=True).start()
        if query is None:
            assert self.is_synced.wait(PATIENCE_S), "the subscription is not synced"

    def read(self):
        kind = None
        for line in self.stream:
            name, _, rest = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = rest
            elif name == "data":
                self.take(kind, json.loads(rest))
        self.has_ended.set()

    def take(self, kind, payload):
        raise NotImplementedError

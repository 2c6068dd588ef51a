"""KvServer's client for asyncio: requests and live mirrors over one WebSocket that mends itself.

    async with kvserver.connect("ws://localhost:3000/ws") as kv:
        await kv.set("room/42/topic", "lunch", ttl="1h")
        room = kv.map(prefix="room/42/")
        await room.ready
        print(dict(room))

Needs the package websockets (Debian: python3-websockets). core/PROTOCOL.md says what is spoken.
"""
import asyncio
import collections
import json
import random

import websockets

RENEWAL_PAUSE_S = 5  # between two attempts to renew a token

__all__ = ["connect", "Client", "Mirror", "KvError", "KvConflict", "KvForbidden", "KvUnavailable"]


class KvError(Exception):
    """status: as HTTP has it, 0: none; ambiguous: whether a write may have taken effect nevertheless."""

    def __init__(self, text, status=0, ambiguous=False):
        super().__init__(text)
        self.status = status
        self.ambiguous = ambiguous


class KvConflict(KvError):
    """A condition does not hold."""


class KvForbidden(KvError):
    """The right has not been granted, or there is no valid token."""


class KvUnavailable(KvError):
    """There is no connection, or the server cannot do it for now."""


_CLASSES = {401: KvForbidden, 403: KvForbidden, 412: KvConflict, 429: KvUnavailable, 503: KvUnavailable}

Entry = collections.namedtuple("Entry", "key value revision ttl")


def _error(status, text, ambiguous=False):
    return _CLASSES.get(status, KvError)(text, status, ambiguous)


def _entry(payload):
    return Entry(payload["key"], payload["value"], payload["revision"], payload.get("ttl"))


class Mirror(collections.abc.Mapping):
    """The values of a key or a prefix, as the server has them, without a gap. Read-only."""

    def __init__(self, client, pattern):
        self._client = client
        self._pattern = pattern
        self._is_prefix = "prefix" in pattern
        self._name = pattern["prefix" if self._is_prefix else "key"]
        self._entries = {}
        self._gone = {}  # revisions of deleted keys, while older news may come
        self._staging = None  # entries and gone of a state that is not complete
        self._since = None  # all up to it has been received
        self._epoch = None
        self._is_live = False
        self._callbacks = []
        self._is_wanted = True
        self.synced = False
        self.error = None
        self.ready = asyncio.get_running_loop().create_future()

    def __getitem__(self, key):
        return self._entries[key].value

    def __iter__(self):
        return iter(self._entries)

    def __len__(self):
        return len(self._entries)

    def entry(self, key):
        """Returns: the Entry, or None."""
        return self._entries.get(key)

    def subscribe(self, callback):
        """Calls back with ("set", Entry), ("delete" or "expire", key), ("reset", None): all has been
        replaced in one step, and ("synced", None)."""
        self._callbacks.append(callback)

    def close(self):
        self._client._leave(self)

    # ---- of the client ----

    def _covers(self, key):
        return key.startswith(self._name) if self._is_prefix else key == self._name

    def _overlaps(self, other):
        return self._covers(other._name) or other._covers(self._name)

    def _tell(self, kind, what=None):
        for callback in list(self._callbacks):
            asyncio.get_running_loop().call_soon(callback, kind, what)

    def _unlink(self):
        self._is_live = self.synced = False
        self._staging = None

    @staticmethod
    def _apply(entries, gone, kind, payload):
        key, revision = payload["key"], payload["revision"]
        known = entries[key].revision if key in entries else gone.get(key, 0)
        if revision <= known:
            return False
        if kind == "value":
            gone.pop(key, None)
            entries[key] = _entry(payload)
            return True
        gone[key] = revision
        return entries.pop(key, None) is not None

    def _take(self, kind, payload):
        if self._staging is not None:
            self._apply(*self._staging, kind, payload)
            return
        is_known = self._since is not None and payload["epoch"] == self._epoch
        if not is_known or payload["revision"] <= self._since:
            return
        if self._apply(self._entries, self._gone, kind, payload):
            entry = self._entries.get(payload["key"])
            self._tell(payload.get("reason", "set"), entry if kind == "value" else payload["key"])

    def _reset(self):
        self.synced = False
        self._since = None
        self._staging = ({}, {})

    def _complete(self, mark):
        was_known = self.ready.done()
        if self._staging is not None:
            self._entries, self._gone = self._staging
            self._staging = None
            if was_known:
                self._tell("reset")
        self._since, self._epoch = mark.get("revision"), mark.get("epoch")
        self.synced = True
        if not was_known:
            self.ready.set_result(self)
        self._tell("synced")

    def _fail(self, error):
        self.error = error
        self._unlink()
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()  # so that an error nobody awaits causes no warning


class _Request:
    """repeats: it may be sent again on another connection; is_link: it ends with its connection."""

    def __init__(self, message, repeats, on_answer, is_link):
        self.message = message
        self.repeats = repeats
        self.on_answer = on_answer
        self.is_link = is_link
        self.is_sent = self.was_sent = False
        self.future = asyncio.get_running_loop().create_future()

    def ends_lease(self):
        return self.message["type"] != "get" and not self.is_link


class Client:
    """One connection for any number of requests and mirrors. `async with`, or close() at the end.

    token: a bearer token, or a function, which may be async, that returns one. retry_s: the shortest and the
    longest pause between two attempts to connect. Reads and conditional writes wait for a connection, and are
    repeated on the next one; other writes raise KvUnavailable where it is lost. Leases are set again, except
    conditional ones.
    """

    def __init__(self, url, token=None, retry_s=(0.5, 20)):
        self._url = url
        self._token = token
        self._retry_s = retry_s
        self._id = 0
        self._requests = {}
        self._leases = {}  # payloads of their writes, by key
        self._mirrors = []
        self._busy = []
        self._mark = 0
        self._socket = None
        self._is_open = False
        self._renewal = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        tasks = [task for task in (self._task, self._renewal) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        error = KvUnavailable("the client is closed")
        for request in list(self._requests.values()):
            self._settle(request, error)
        for mirror in self._mirrors:
            mirror._fail(error)

    # ---- requests ----

    async def get(self, key):
        """Returns: the Entry, or None."""
        answer = await self._call("get", {"key": key, "meta": True})
        return _entry(answer["payload"]) if answer["type"] == "value" else None

    async def set(self, key, value, ttl=None, if_revision=None, if_absent=None, while_connected=None):
        """while_connected: a lease, which ends with the connection; the ttl must be at least 5 s. Returns: the revision."""
        fields = {"key": key, "value": value, "ttl": ttl, "if_revision": if_revision, "if_absent": if_absent,
                  "while_connected": while_connected}
        fields = {name: one for name, one in fields.items() if one is not None or name == "value"}
        is_conditional = if_revision is not None or bool(if_absent)

        def hold(_):
            self._leases[key] = fields

        on_answer = hold if while_connected and not is_conditional else None
        answer = await self._call("set", fields, is_conditional or bool(while_connected), on_answer)
        return answer["payload"].get("revision")

    async def delete(self, key, if_revision=None):
        fields = {"key": key} if if_revision is None else {"key": key, "if_revision": if_revision}
        await self._call("delete", fields, if_revision is not None)

    async def touch(self, key, ttl):
        """Returns: whether the key has a value."""
        return (await self._call("touch", {"key": key, "ttl": ttl}, False))["type"] != "no-value"

    async def increment(self, key, by=1, ttl=None):
        fields = {"key": key, "by": by} if ttl is None else {"key": key, "by": by, "ttl": ttl}
        return _entry((await self._call("increment", fields, False))["payload"])

    async def merge(self, key, patch):
        return _entry((await self._call("merge", {"key": key, "patch": patch}, False))["payload"])

    def map(self, **pattern):
        """A live mirror: map(prefix=…) or map(key=…), one for each."""
        if list(pattern) not in (["key"], ["prefix"]):
            raise TypeError("map() takes either a key or a prefix")
        for mirror in self._mirrors:
            if mirror._pattern == pattern:
                mirror._is_wanted = True
                return mirror
        mirror = Mirror(self, pattern)
        self._mirrors.append(mirror)
        self._pump()
        return mirror

    # ---- the connection ----

    def _send(self, request):
        request.is_sent = True
        if request.ends_lease():
            self._leases.pop(request.message["payload"].get("key"), None)
        self._outgoing.put_nowait(json.dumps(request.message))

    def _ask(self, kind, payload, repeats=True, on_answer=None, is_link=False):
        self._id += 1
        request = _Request({"type": kind, "id": self._id, "payload": payload}, repeats, on_answer, is_link)
        self._requests[self._id] = request
        if self._is_open or is_link:
            self._send(request)
        return request

    async def _call(self, kind, payload, repeats=True, on_answer=None):
        request = self._ask(kind, payload, repeats, on_answer)
        try:
            return await request.future
        finally:
            self._requests.pop(request.message["id"], None)

    def _settle(self, request, error, answer=None):
        self._requests.pop(request.message["id"], None)
        if request.future.done():
            return
        if error is not None:
            request.future.set_exception(error)
            if request.is_link:
                request.future.exception()
        else:
            if request.on_answer is not None:
                request.on_answer(answer)
            request.future.set_result(answer)

    async def _run(self):
        tries = 0
        while True:
            error = "the server closed the connection"
            try:
                async with websockets.connect(self._url, subprotocols=["kvserver.v1"], max_size=None) as socket:
                    self._socket = socket
                    await self._talk(socket, await self._fetch_token())
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as fault:
                error = f"the connection was lost: {fault}"
            except KvForbidden as fault:
                error = str(fault)
                for request in list(self._requests.values()):
                    self._settle(request, fault)
            except KvUnavailable as fault:
                error = str(fault)
            self._socket = None
            tries = 0 if self._is_open else min(tries + 1, 16)
            self._lose(KvUnavailable(error))
            least, most = self._retry_s
            await asyncio.sleep(random.uniform(least, min(most, least * 4 * 2 ** tries)))

    async def _fetch_token(self):
        try:
            token = self._token() if callable(self._token) else self._token
            return await token if asyncio.iscoroutine(token) else token
        except Exception as fault:  # whatever the application's function raises
            raise KvUnavailable(f"there is no token: {fault}") from fault

    async def _talk(self, socket, token):
        self._outgoing = asyncio.Queue()
        sender = asyncio.get_running_loop().create_task(self._transmit(socket, self._outgoing))
        try:
            if token:
                greeting = self._ask("auth", {"token": token}, is_link=True)
                greeting.on_answer = lambda answer: self._begin()
            else:
                greeting = None
                self._begin()
            async for text in socket:
                self._hear(json.loads(text))
                if greeting is not None and greeting.future.done() and greeting.future.exception():
                    raise KvForbidden(str(greeting.future.exception()), 401)
        finally:
            sender.cancel()

    @staticmethod
    async def _transmit(socket, outgoing):
        while True:
            await socket.send(await outgoing.get())

    def _begin(self):
        self._is_open = True
        for key, fields in self._leases.items():
            self._hold_again(key, fields)
        self._pump()
        for request in list(self._requests.values()):
            if not request.is_sent:
                self._send(request)

    def _hold_again(self, key, fields):
        def look(future):
            refusal = future.exception()
            if refusal is not None and not isinstance(refusal, KvUnavailable) and self._leases.get(key) is fields:
                del self._leases[key]

        self._ask("set", fields, is_link=True).future.add_done_callback(look)

    def _lose(self, error):
        self._is_open = False
        self._settle_mirrors()
        self._mark = 0
        self._busy.clear()
        self._mirrors = [mirror for mirror in self._mirrors if mirror._is_wanted]
        for mirror in self._mirrors:
            mirror._unlink()
        for request in list(self._requests.values()):
            if request.is_link or not request.repeats:
                is_ambiguous = request.is_sent and not request.is_link
                self._settle(request, KvUnavailable(str(error), 0, is_ambiguous))
            request.was_sent |= request.is_sent
            request.is_sent = False

    def _hear(self, message):
        kind, payload = message["type"], message["payload"]
        if "id" in message:
            request = self._requests.get(message["id"])
            if request is not None:
                error = None
                if kind == "error":
                    error = _error(message.get("status", 0), payload, request.was_sent)
                self._settle(request, error, message)
        elif kind in ("value", "no-value"):
            self._change(kind, payload)
        elif kind == "expiring" and callable(self._token):
            self._renewal = asyncio.get_running_loop().create_task(self._renew(self._socket))
        elif kind in ("synced", "reset", "ended"):
            self._progress(kind, payload)

    async def _renew(self, socket):
        """A connection whose new token is refused is closed: the next one begins with another token."""
        while self._socket is socket:
            try:
                token = await self._fetch_token()
                if self._socket is socket:
                    await self._ask("auth", {"token": token}, is_link=True).future
                return
            except KvForbidden:
                return await socket.close()
            except KvError:
                await asyncio.sleep(RENEWAL_PAUSE_S)

    # ---- mirrors ----

    def _change(self, kind, payload):
        if "revision" not in payload:
            return  # at the beginning, a key has no value
        if "reason" in payload and "collapsed" not in payload and not self._busy:
            self._mark = payload["revision"]
            for mirror in self._mirrors:
                mirror._gone.clear()
        for mirror in list(self._mirrors):
            if mirror._covers(payload["key"]):
                mirror._take(kind, payload)

    def _settle_mirrors(self):
        """What was received of all mirrors was received of each."""
        for mirror in self._mirrors:
            if mirror.synced and mirror._since is not None:
                mirror._since = max(mirror._since, self._mark)

    def _progress(self, kind, payload):
        name = "prefix" if "prefix" in payload else "key"
        for mirror in self._mirrors:
            if mirror._pattern == {name: payload[name]} and mirror._is_live:
                break
        else:
            return
        if kind == "synced" and mirror in self._busy:
            self._busy.remove(mirror)
            mirror._complete(payload)
            if not mirror._is_wanted:
                self._leave(mirror)
        elif kind == "reset":
            self._settle_mirrors()
            mirror._reset()
            if mirror not in self._busy:
                self._busy.append(mirror)
        elif kind == "ended":
            self._end(mirror, _error(payload.get("status", 0), payload["error"]))
        self._pump()

    def _end(self, mirror, error):
        if mirror in self._busy:
            self._busy.remove(mirror)
        if mirror in self._mirrors:
            self._mirrors.remove(mirror)
        mirror._fail(error)

    def _pump(self):
        """Those that overlap are asked for one after another, as the past of one is news to the other."""
        if not self._is_open:
            return
        for mirror in self._mirrors:
            if mirror._is_live or mirror in self._busy or any(map(mirror._overlaps, self._busy)):
                continue
            if not self._busy:
                self._settle_mirrors()
            self._busy.append(mirror)
            self._subscribe(mirror)

    def _subscribe(self, mirror):
        options = {**mirror._pattern, "meta": True}
        if mirror._since is None:
            options["initial"] = True
        else:
            options.update(since=mirror._since, epoch=mirror._epoch)

        def begin(_):
            mirror._is_live = True
            if "initial" in options:
                mirror._staging = ({}, {})

        def end(future):
            error = future.exception()
            if error is not None and not isinstance(error, KvUnavailable):
                self._end(mirror, error)

        self._ask("subscribe", options, on_answer=begin, is_link=True).future.add_done_callback(end)

    def _leave(self, mirror):
        mirror._is_wanted = False
        if mirror not in self._mirrors or mirror in self._busy:
            return  # or when it is synced
        self._mirrors.remove(mirror)
        if mirror._is_live:
            self._ask("unsubscribe", dict(mirror._pattern), is_link=True)
        mirror._unlink()


def connect(url, **options):
    """Returns: a Client, which connects by itself. To be called where an event loop runs."""
    return Client(url, **options)

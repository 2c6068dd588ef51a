"""Load for tests that break parts below KvServers, and checks of the results.

Each writer has a key of its own and writes on condition that it still has the revision that was acknowledged
last: so a write that is lost shows at once. A writer of keys that expire works beside them. Subscribers note
every change.
"""
import json
import socket
import threading
import time

from event_stream import EventStream
from kvserver import PATIENCE_S, wait_for

PAUSE_S = 0.02     # of a writer that was refused
TTL_EVERY_S = 0.02
LEAST_TTL_MS, TTL_STEP_MS, N_TTLS = 300, 137, 17


def at_once(tasks):
    """Runs them at the same time. If one fails, all fail."""
    faults = []

    def run(task):
        try:
            task()
        except Exception as fault:  # pylint: disable=broad-except
            faults.append(fault)
    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


class Client:
    """A persistent connection."""

    def __init__(self, server):
        self.server = server
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.server.port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def receive(self):
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("the server has closed the connection")
        self.rest += more

    def ask(self, method, path, body=b"", headers=""):
        """Returns: the status, the revision (None: no ETag) and the body."""
        self.socket.sendall((f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
                             f"{headers}\r\n").encode() + body)
        while b"\r\n\r\n" not in self.rest:
            self.receive()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:])
        length = int(fields.get("content-length", 0))
        while len(self.rest) < length:
            self.receive()
        answer, self.rest = self.rest[:length], self.rest[length:]
        etag = fields.get("etag")
        return int(lines[0].split(" ")[1]), int(etag.strip('"')) if etag else None, answer

    def put(self, key, value, headers="", **more):
        return self.ask("PUT", "/storage/" + key, json.dumps({"value": value, **more}).encode(), headers)

    def get(self, key):
        """Returns: the value and the revision, 0 if there is none; waits while the store is unavailable."""
        until = time.monotonic() + PATIENCE_S
        while True:
            status, revision, body = self.ask("GET", "/storage/" + key)
            if status == 200:
                return json.loads(body)["value"], revision
            if status == 204:
                return None, 0
            assert status == 503, f"GET is answered {status}: {body}"
            assert time.monotonic() < until, "GET is answered 503 for too long"
            time.sleep(PAUSE_S)

    def close(self):
        self.socket.close()


class Writer(threading.Thread):
    def __init__(self, server, key, is_over):
        super().__init__(daemon=True)
        self.key, self.is_over = key, is_over
        self.client = Client(server)
        self.revision = 0    # the last one acknowledged, or found
        self.acked = []      # pairs of value and revision
        self.lost = []       # likewise
        self.unsure = set()  # values that may have been written
        self.open = set()    # those of them that were to follow the revision
        self.vanished = set() # those of them that certainly were not, or were lost: something else has followed
        self.refused = set() # values that must not have been
        self.n_sent = 0
        self.acked_at = None
        self.longest_s = 0
        self.fault = None

    def run(self):
        try:
            while not self.is_over.is_set():
                self.write()
        except Exception as fault:  # pylint: disable=broad-except
            self.fault = fault
        finally:
            self.client.close()

    def condition(self):
        return f'If-Match: "{self.revision}"\r\n' if self.revision else "If-None-Match: *\r\n"

    def write(self):
        self.n_sent += 1
        status, revision, body = self.client.put(self.key, self.n_sent, self.condition())
        if status == 202:
            self.acknowledge(revision)
        elif status == 503:
            self.refused.add(self.n_sent)
            time.sleep(PAUSE_S)
        elif status == 504:
            self.unsure.add(self.n_sent)
            self.open.add(self.n_sent)
            self.look()
        else:
            assert status == 412, f"PUT is answered {status}: {body}"
            self.refused.add(self.n_sent)
            self.look()

    def acknowledge(self, revision):
        now = time.monotonic()
        assert revision > self.revision, f"{self.key}: revision {revision} after {self.revision}"
        self.acked.append((self.n_sent, revision))
        self.follow(self.n_sent, revision)
        if self.acked_at is not None:
            self.longest_s = max(self.longest_s, now - self.acked_at)
        self.acked_at = now

    def look(self):
        """Reads the present state: the acknowledged one, or a later one that may have been written."""
        value, revision = self.client.get(self.key)
        if self.acked and revision < self.acked[-1][1]:
            self.lost.append(self.acked[-1])
        else:
            last = self.acked[-1][0] if self.acked else None
            assert value == last or value in self.unsure, \
                f"{self.key} is {value}, revision {revision}; acknowledged was {last}, {self.revision}"
        self.follow(value, revision)

    def follow(self, value, revision):
        """A value has this revision now. A write on condition of the one before can no longer succeed."""
        if revision != self.revision:
            self.vanished |= self.open - {value}
            self.open = set()
        self.revision = revision


class TtlWriter(threading.Thread):
    """Sets keys that expire soon."""

    def __init__(self, server, prefix, is_over):
        super().__init__(daemon=True)
        self.prefix, self.is_over = prefix, is_over
        self.client = Client(server)
        self.acked, self.unsure = [], []
        self.fault = None

    def run(self):
        n = 0
        try:
            while not self.is_over.wait(TTL_EVERY_S):
                n += 1
                key = f"{self.prefix}{n}"
                status = self.client.put(key, n, ttl=LEAST_TTL_MS + TTL_STEP_MS * (n % N_TTLS))[0]
                assert status in (202, 503, 504), status
                if status != 503:
                    (self.acked if status == 202 else self.unsure).append(key)
        except Exception as fault:  # pylint: disable=broad-except
            self.fault = fault
        finally:
            self.client.close()


class Subscriber(EventStream):
    """A subscriber of a prefix. changes: the notifications of each key: revision, value (None: missing) and whether it
    was a change, not a state. order: keys and revisions of all notifications. Cleared by each reset."""

    def __init__(self, server, prefix):
        self.changes, self.order, self.n_resets = {}, [], 0
        self.ended_at = {}  # of each key: when its end was told
        super().__init__(server, prefix)

    def take(self, kind, payload):
        if kind == "synced":
            self.is_synced.set()
        elif kind == "reset":
            self.is_synced.clear()
            self.n_resets += 1
            self.changes, self.order = {}, []
        elif "key" in payload:
            change = payload.get("revision", 0), payload.get("value"), payload.get("reason")
            self.changes.setdefault(payload["key"], []).append(change)
            self.order.append((payload["key"], change[0]))
            if change[1] is None:
                self.ended_at[payload["key"]] = time.monotonic()

    def last(self, key):
        """Returns: revision and value."""
        told = self.changes.get(key)
        return told[-1][:2] if told else (0, None)


class Load:
    """Writers and subscribers at all servers."""

    def __init__(self, servers, prefix, n_writers):
        self.servers, self.prefix = servers, prefix
        self.is_over = threading.Event()
        self.subscribers = [Subscriber(server, prefix) for server in servers]
        self.writers = [Writer(servers[i % len(servers)], f"{prefix}key/{i}", self.is_over) for i in range(n_writers)]
        self.ttl_writers = [TtlWriter(server, f"{prefix}ttl/{i}/", self.is_over)
                            for i, server in enumerate(servers)]
        for thread in self.threads():
            thread.start()
        self.wait_until_all_write(3)

    def threads(self):
        return self.writers + self.ttl_writers

    def n_acked(self):
        return sum(len(writer.acked) for writer in self.writers)

    def n_lost(self):
        return sum(len(writer.lost) for writer in self.writers)

    def wait_until_all_write(self, n):
        """Waits until each writer has had n further writes acknowledged."""
        before = [len(writer.acked) for writer in self.writers]

        def have_written():
            for thread in self.threads():
                if thread.fault is not None:
                    raise thread.fault
            return all(len(writer.acked) >= had + n for writer, had in zip(self.writers, before))
        try:
            wait_for(have_written, "not all writers get on")
        except AssertionError as fault:
            raise AssertionError(f"{fault}\n{self.describe_writers(before, n)}") from fault

    def describe_writers(self, before, n):
        """Those of which fewer than n further writes were acknowledged."""
        return "\n".join(f"{writer.key}, at server {i % len(self.servers)}: {len(writer.acked) - had}, has sent {writer.n_sent}"
                         for i, (writer, had) in enumerate(zip(self.writers, before)) if len(writer.acked) < had + n)

    def end(self):
        self.is_over.set()
        for thread in self.threads():
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a request is not answered"
            if thread.fault is not None:
                raise thread.fault

    # ---- checks ----

    def check_vanished(self, subscriber):
        """None that the next state does not follow was told, unless a reset has followed."""
        for writer in self.writers:
            told = {value for _, value, _ in subscriber.changes.get(writer.key, [])}
            assert not told & writer.vanished, f"{writer.key}: told, but it has vanished: {told & writer.vanished}"

    def check_final_states(self):
        """All servers have the same states, and have notified them."""
        clients = [Client(server) for server in self.servers]
        for writer in self.writers:
            states = [client.get(writer.key) for client in clients]
            assert len(set(states)) == 1, f"{writer.key} differs: {states}"
            value, revision = states[0]
            assert value is None or value not in writer.refused, f"{writer.key} is {value}, which was refused"
            if not writer.lost:
                assert revision >= writer.acked[-1][1], f"{writer.key}: an acknowledged write is lost"
            for subscriber in self.subscribers:
                wait_for(lambda writer=writer, subscriber=subscriber, revision=revision:
                         subscriber.last(writer.key)[0] == revision,
                         f"{writer.key} is told to be {subscriber.last(writer.key)}, not {states[0]}")
        for client in clients:
            client.close()

    def check_changes(self, subscriber):
        """Each acknowledged write is notified exactly once, in order, and no refused write is. One that was lost together with
        its master may have been notified at the other server alone, where subscribers get a reset."""
        for writer in self.writers:
            told = [(value, revision) for revision, value, _ in subscriber.changes[writer.key]]
            revisions = [revision for _, revision in told]
            assert revisions == sorted(set(revisions)), f"{writer.key}: told twice, or not in order"
            assert not set(writer.lost) & set(told), f"{writer.key}: told, then lost, without a reset"
            kept = set(writer.acked) - set(writer.lost)
            assert kept <= set(told), f"{writer.key}: not told: {sorted(kept - set(told))[:3]}"
            others = {value for value, _ in set(told) - set(writer.acked)}
            assert others <= writer.unsure, f"{writer.key}: told, but neither acknowledged nor unsure: {others}"

    def check_expiries(self, subscriber):
        for writer in self.ttl_writers:
            for key in writer.acked:
                wait_for(lambda key=key: subscriber.last(key)[1] is None and key in subscriber.changes,
                         f"the end of {key} is not told")
                reasons = [reason for _, _, reason in subscriber.changes[key]]
                assert reasons == ["set", "expire"], f"{key}: {reasons}"
            for key in writer.unsure:
                reasons = [reason for _, _, reason in subscriber.changes.get(key, [])]
                assert reasons in ([], ["set"], ["set", "expire"]), f"{key}: {reasons}"

    def judge(self):
        """Returns: a summary. If writes were lost, only the present state can be checked."""
        self.check_final_states()
        for subscriber in self.subscribers:
            self.check_vanished(subscriber)
            if subscriber.n_resets == 0:
                self.check_changes(subscriber)
                self.check_expiries(subscriber)
        assert self.n_lost() == 0 or any(subscriber.n_resets != 0 for subscriber in self.subscribers), \
            "acknowledged writes are lost, and nobody is told"
        if all(subscriber.n_resets == 0 for subscriber in self.subscribers):
            first = self.subscribers[0].order
            assert all(subscriber.order == first for subscriber in self.subscribers), "told in different orders"
        return self.facts()

    def facts(self):
        return {"acknowledged": self.n_acked(), "lost": self.n_lost(),
                "unknown": sum(len(writer.unsure) for writer in self.threads()),
                "vanished": sum(len(writer.vanished) for writer in self.writers),
                "refused": sum(len(writer.refused) for writer in self.writers),
                "expired": sum(len(writer.acked) for writer in self.ttl_writers),
                "resets": max(subscriber.n_resets for subscriber in self.subscribers),
                "longest_s": round(max(writer.longest_s for writer in self.writers), 2)}


def under_load(servers, prefix, n_writers, fault):
    """Calls fault(load) while writers write, and waits until all of them go on. Returns: what happened."""
    load = Load(servers, prefix, n_writers)
    try:
        fault(load)
        load.wait_until_all_write(3)
    finally:
        load.is_over.set()
    load.end()
    return load.judge()


def text_of(facts):
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def lose_nothing(servers, prefix, n_writers, fault):
    """As under_load(). Fails if a change is lost, or a subscriber is told to begin anew."""
    facts = under_load(servers, prefix, n_writers, fault)
    print("#   " + text_of(facts), flush=True)
    assert (facts["lost"], facts["resets"]) == (0, 0), facts
    return facts

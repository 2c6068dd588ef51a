#!/usr/bin/env python3
"""Backups: the answer to GET /admin/backup while clients write is the state at its revision,
according to the history of changes; `--restore` restores exactly this state, and refuses incomplete
backups. Prints TAP. The environment selects the store (KV_TEST_STORE, KV_TEST_STORE_OPTIONS).
"""
import hashlib
import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position

STORE = os.environ.get("KV_TEST_STORE", "memory")
OPTIONS = os.environ.get("KV_TEST_STORE_OPTIONS", "")
IS_DURABLE = STORE in ("rocksdb", "lmdb")
N_KEYS = 3000
N_HOT = 300
N_TOUCHED = 50
LONG = 700_000  # bytes of a value that is sent in pieces


def expect(got, expected):
    assert got == expected, f"expected {str(expected)[:300]}, got {str(got)[:300]}"


class Client:
    """Requests over one connection."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)

    def request(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def put(self, key, value, ttl=0):
        """Returns: the revision."""
        body = json.dumps({"value": value, "ttl": ttl})
        status, headers, _ = self.request("PUT", "/storage/" + urllib.parse.quote(key), body)
        expect(status, 202)
        return int(headers["etag"].strip('"'))


class History:
    """Every change of the store, from a subscription that starts at the present state."""

    def __init__(self, server):
        self.states = []  # (revision, key, value or None), in the order of arrival
        self.is_synced = threading.Event()
        self.upto = 0
        self.fault = None
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        self.connection.request("GET", "/events?prefix=&initial=true&meta=true")
        self.stream = self.connection.getresponse()
        expect(self.stream.status, 200)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        kind, lines = None, []
        for line in self.stream:
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                lines.append(line[6:])
            elif line == "" and kind is not None:
                self.take(kind, json.loads("\n".join(lines)))
                kind, lines = None, []

    def take(self, kind, payload):
        if kind == "synced":
            self.is_synced.set()
            return
        if kind == "reset" or payload.get("collapsed"):
            self.fault = "the history has a gap"
        self.states.append((payload["revision"], payload["key"], payload.get("value")))
        self.upto = max(self.upto, payload["revision"])

    def at(self, revision):
        wait_for(lambda: self.upto >= revision, "the history does not reach the revision")
        assert self.fault is None, self.fault
        state = {}
        for changed, key, value in sorted(self.states, key=lambda state: state[0]):
            if changed > revision:
                break
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
        return state


class Writers:
    """Clients that write until they are stopped."""

    def __init__(self, server, n=3, first=0):
        self.is_over = threading.Event()
        self.faults = []
        self.touches = []  # (revision of what was written after it, key, deadline)
        self.threads = [threading.Thread(target=self.run, args=(server, i)) for i in range(first, first + n)]
        for thread in self.threads:
            thread.start()

    def run(self, server, i):
        try:
            client, dice, n = Client(server), random.Random(i), 0
            while not self.is_over.is_set():
                n += 1
                self.step(client, dice, i, n)
        except Exception as fault:  # pylint: disable=broad-except
            self.faults.append(fault)

    def step(self, client, dice, i, n):
        key = f"hot/{dice.randrange(N_HOT)}"
        chance = dice.random()
        if chance < 0.15:
            client.request("DELETE", "/storage/" + key)
        elif chance < 0.25:
            self.touch(client, i, n)
        elif chance < 0.27:
            client.put("hot/long", f"{i}.{n} " + "x" * LONG)
        else:
            client.put(key, {"by": i, "n": n}, 3600_000 if chance < 0.5 else 0)

    def touch(self, client, i, n):
        key = f"a/touched/{i}/{n % N_TOUCHED}"
        ttl = 7200_000 + n * 1000
        least = int(time.time() * 1000) + ttl
        expect(client.request("PATCH", "/storage/" + key, json.dumps({"ttl": ttl}))[0], 202)
        self.touches.append((client.put(f"hot/mark/{i}", n), key, least))

    def end(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join()
        assert not self.faults, self.faults


def fill(server, n_writers=3):
    client = Client(server)
    for at in range(0, N_KEYS, 1000):
        sets = [{"type": "set", "payload": {"key": f"cold/{i}", "value": {"i": i, "a": "é\n"}}}
                for i in range(at, at + 1000)]
        expect(client.request("POST", "/batch", json.dumps(sets))[0], 200)
    for i in range(n_writers):
        for j in range(N_TOUCHED):
            client.put(f"a/touched/{i}/{j}", j, 3600_000)
    client.request("PUT", "/storage/lines", '{"value": [1,\n\r\n 2]}')
    client.put("cold/long", "y" * LONG)
    client.put("", "the empty key")


class Backup:
    """A backup, parsed according to PROTOCOL B6."""

    def __init__(self, text):
        self.text = text
        lines = text.split(b"\n")
        expect(lines.pop(), b"")
        self.end = json.loads(lines[-1])["backup"]
        before = text[:-len(lines[-1]) - 1]
        expect(self.end["sum"], hashlib.sha256(before).hexdigest())
        expect(self.end["lines"], len(lines) - 1)
        self.revision = self.end["revision"]
        self.lines = [json.loads(line) for line in lines[:-1]]
        self.touches = {(line["key"], line["revision"]): line.get("deadline")
                        for line in self.lines if line.get("touched")}

    def entries(self):
        entries = {}
        for line in self.lines:
            assert line["revision"] <= self.revision or line.get("touched"), line
            if line.get("deleted"):
                entries.pop(line["key"], None)
            elif not line.get("touched"):
                entries[line["key"]] = line
        return entries

    def state(self):
        return {key: line["value"] for key, line in self.entries().items()}

    def deadline(self, key):
        line = self.entries()[key]
        return self.touches.get((key, line["revision"]), line.get("deadline"))


def expect_same(state, expected):
    """Both by keys; a failure shows some that differ."""
    wrong = [(key, state.get(key), expected.get(key)) for key in state.keys() | expected.keys()
             if state.get(key) != expected.get(key)]
    assert not wrong, f"{len(wrong)} keys differ (key, value in the backup, in the history): {str(wrong)[:500]}"


def take(server, headers=None):
    status, answered, text = server.request("GET", "/admin/backup", headers=headers)
    expect((status, answered["content-type"]), (200, "application/x-ndjson"))
    return Backup(text)


def listing(server):
    """The state that a server shows, and the TTLs."""
    client, cursor, state, ttls = Client(server), "", {}, {}
    while True:
        _, _, body = client.request("GET", f"/storage?limit=1000&values=true&cursor={cursor}")
        page = json.loads(body)
        state.update({entry["key"]: entry["value"] for entry in page["keys"]})
        ttls.update({entry["key"]: entry.get("ttl") for entry in page["keys"]})
        cursor = page.get("cursor", "")
        if not cursor:
            return state, ttls


class Restored:
    """A server of a restored backup."""

    def __init__(self, backup, more=""):
        self.path = f"{os.environ.get('TMPDIR', '/tmp')}/kvserver-backup-{os.getpid()}"
        with open(self.path, "wb") as file:
            file.write(backup)
        if IS_DURABLE:
            self.server = Server(more, store=STORE, options=OPTIONS)
            self.server.end_process()
            remove_store(self.server)
            expect(self.server.run("--restore", self.path).returncode, 0)
            self.server.start()
        else:
            self.server = Server(more, store=STORE, options=OPTIONS,
                                 arguments=("--restore", self.path))
        os.remove(self.path)


def remove_store(server):
    subprocess.run(["rm", "-rf", os.path.join(server.folder.name, "store")], check=True)


def test_backup(report, server):
    fill(server)
    history = History(server)
    assert history.is_synced.wait(PATIENCE_S), "the history does not begin"
    writers = Writers(server)
    backups = []

    def whole():
        wait_for(lambda: len(writers.touches) > 5, "the writers do not begin")
        for _ in range(3):
            backups.append(take(server))
        assert backups[0].revision < backups[2].revision

    def exact():
        for backup in backups:
            state, expected = backup.state(), history.at(backup.revision)
            expect_same(state, expected)
            assert len(state) > N_KEYS and "" in state

    def deadlines():
        for backup in backups:
            least = {}
            for revision, key, deadline in writers.touches:
                if revision <= backup.revision:
                    least[key] = max(deadline, least.get(key, 0))
            assert least, "there was no touch before the backup"
            for key, deadline in least.items():
                assert backup.deadline(key) >= deadline, key

    report.check("a backup is whole while clients write", whole)
    writers.end()
    report.check("it is the state at its revision", exact)
    report.check("touches before it are in it", deadlines)

    def restored():
        other = Restored(backups[-1].text)
        try:
            state, ttls = listing(other.server)
            now = int(time.time() * 1000)
            expect(state == backups[-1].state(), True)
            for key in backups[-1].entries():
                deadline = backups[-1].deadline(key)
                assert (ttls[key] is None) == (deadline is None), key
                assert deadline is None or abs(now + ttls[key] - deadline) < 30_000, key
            assert epoch(other.server) != backups[-1].end["epoch"]
            expect(other.server.request("GET", "/storage/lines")[2], b'{"value":[1,    2]}')
        finally:
            other.server.end()

    report.check("what is restored from it is the same state, of a new epoch", restored)
    history.connection.close()


def epoch(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    connection.request("GET", "/events?key=epoch&initial=true")
    for line in connection.getresponse():
        if line.startswith(b"id: "):
            return line[4:].split(b"-")[0].decode()
    return None


def test_refusals(report):
    server = Server(store=STORE, options=OPTIONS)
    client = Client(server)
    for i in range(20):
        client.put(f"k{i}", i)
    text = take(server).text
    server.end_process()
    path = os.path.join(server.folder.name, "backup")

    def refused(name, damaged, what):
        def check():
            if IS_DURABLE:
                remove_store(server)
            with open(path, "wb") as file:
                file.write(damaged)
            result = server.run("--restore", path)
            expect(result.returncode, 1)
            assert what in result.stderr.decode(), result.stderr
            assert not os.path.exists(os.path.join(server.folder.name, "store"))
        report.check(name, check)

    lines = text.splitlines(keepends=True)
    refused("a backup without its last line is refused", b"".join(lines[:-1]), "incomplete")
    refused("one that ends within a line is refused", text[:len(text) // 2], "backup:")
    refused("one that lacks a line is refused", b"".join(lines[1:]), "should have 20")
    refused("one with another byte is refused", text.replace(b'"value":7', b'"value":8'), "damaged")
    refused("one with more after it is refused", text + lines[0], "after the last line")
    refused("an empty one is refused", b"", "is empty: there is nothing to restore")

    def imported():
        with open(path, "wb") as file:
            file.write(text)
        result = server.run("--import", path)
        expect(result.returncode, 1)
        assert f"{path}:1: this is a backup, which is restored, not imported" in result.stderr.decode(), result.stderr
        if IS_DURABLE:
            assert not os.path.exists(os.path.join(server.folder.name, "store"))

    def imported_in_part():
        """Without its last line it is told by a line that no export has; those before may be imported."""
        state = b'{"key":"a","value":1,"revision":1}\n'
        for line in b'"deleted":true', b'"touched":true', b'"value":1,"deadline":2000000000000':
            with open(path, "wb") as file:
                file.write(state + b'{"key":"a",' + line + b',"revision":2}\n' + state)
            result = server.run("--import", path)
            expect(result.returncode, 1)
            assert f"{path}:2: this is a backup" in result.stderr.decode(), result.stderr
            nothing = "; nothing was imported" if IS_DURABLE else "; 0 keys were imported before"
            assert nothing in result.stderr.decode(), result.stderr
            if IS_DURABLE:
                assert not os.path.exists(os.path.join(server.folder.name, "store"))

    report.check("a backup is not imported by mistake", imported)
    report.check("nor is a part of one", imported_in_part)
    if IS_DURABLE:
        test_durable_refusals(report, server, path, text)
    server.end()


def test_durable_refusals(report, server, path, text):
    with open(path, "wb") as file:
        file.write(text)

    def there():
        remove_store(server)
        expect(server.run("--restore", path).returncode, 0)
        result = server.run("--restore", path)
        expect(result.returncode, 1)
        store = os.path.join(server.folder.name, "store")
        assert f"has a store already at {store}:" in result.stderr.decode(), result.stderr

    def unfinished():
        mark = os.path.join(server.folder.name, "store.restoring")
        assert not os.path.exists(mark)
        with open(mark, "w", encoding="utf-8"):
            pass
        for arguments in ((), ("--export",), ("--restore", path)):
            result = server.run(*arguments)
            expect(result.returncode, 1)
            assert "a restore was not finished" in result.stderr.decode(), result.stderr
        os.remove(mark)

    report.check("a backup is restored into a new store alone", there)
    report.check("a store whose restore was not finished is not served", unfinished)


def test_access(report):
    digest = {name: hashlib.sha256(f"the-token-of-{name}".encode()).hexdigest()
              for name in ("backup", "writer")}
    rules = (f"access: {{anonymous: {{read: ['']}}, tokens: ["
             f"{{name: backup, sha256: {digest['backup']}, admin: [backup]}}, "
             f"{{name: writer, sha256: {digest['writer']}, read: [''], write: ['']}}]}}\n")
    server = Server(rules, store=STORE, options=OPTIONS)
    bearer = {name: {"Authorization": f"Bearer the-token-of-{name}"} for name in digest}

    def check():
        server.request("PUT", "/storage/a", '{"value":1}', bearer["writer"])
        expect(server.request("GET", "/admin/backup")[0], 401)
        expect(server.request("GET", "/admin/backup", headers=bearer["writer"])[0], 403)
        expect(take(server, bearer["backup"]).state(), {"a": 1})
        status, _, body = server.request("HEAD", "/admin/backup", headers=bearer["backup"])
        expect((status, body), (200, b""))
        expect(server.request("POST", "/admin/backup", "{}", bearer["backup"])[0], 405)

    def hold():
        """A backup whose client does not read."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        connection.request("GET", "/admin/backup", headers=bearer["backup"])
        answer = connection.getresponse()
        expect(answer.status, 200)
        return answer

    def places():
        for i in range(40):
            server.request("PUT", f"/storage/long{i}", json.dumps({"value": "z" * LONG}),
                           bearer["writer"])
        held = [hold() for _ in range(4)]
        status, headers, _ = server.request("GET", "/admin/backup", headers=bearer["backup"])
        expect((status, headers["retry-after"]), (503, "10"))
        for answer in held:
            answer.close()
        wait_for(lambda: server.request("HEAD", "/admin/backup", headers=bearer["backup"])[0] == 200,
                 "the places are not given back")
        expect(len(take(server, bearer["backup"]).state()), 41)

    report.check("a backup takes the right to it, and no other", check)
    report.check("four are taken at a time, at most", places)
    server.end()

    def without_log():
        other = Server("change_log: {size: 0}\n", store=STORE, options=OPTIONS)
        try:
            expect(other.request("GET", "/admin/backup")[0], 409)
        finally:
            other.end()

    report.check("without a change log there is none", without_log)


def main():
    report = Report()
    server = Server(store=STORE, options=OPTIONS)
    try:
        test_backup(report, server)
    finally:
        server.end()
    test_refusals(report)
    test_access(report)
    sys.exit(report.end())


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Two KvServers on one Redis Cluster of three masters with a replica each. Prints TAP."""
import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import processes  # pylint: disable=wrong-import-position
from chaos import at_once  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position
from ports import reserve_port  # pylint: disable=wrong-import-position
from redis_servers import Cluster, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import Feed, expect, get, n_reconnects, put, put_until_done, write_often  # pylint: disable=wrong-import-position

N_KEYS = 12
N_WRITES = 40
N_WRITERS = 4
N_LONG = 1500
N_GHOSTS = 20
MOST_DEPOSED = 5
OF_ANOTHER_NODE = "passes on changes that another node has made"
LONG = 60_000
AHEAD_US = 4_000_000


def tags_of(master):
    """What is between the braces of the keys of its partitions."""
    return re.findall(r"kv\{(\d+)\}m\r", master.ask("KEYS kv{*}m"))


def pack(*words):
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        text = str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(text), text))
    return b"".join(parts)


def write_as_another(master, tag, n):
    """Sets n long values in a partition, as another server would."""
    names = [f"kv{{{tag}}}{letter}" for letter in "msdxi"]
    epoch = master.ask("HGET", names.pop(), "epoch").split("\r\n")[1]
    record = f"kv{{{tag}}}k"
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE_S)
        peer.connect(master.socket)
        replies = peer.makefile("rb")
        for i in range(n):
            peer.sendall(pack("FCALL", "kv1_set", 5, f"{record}much/{tag}/{i}", *names, "",
                              f"kv{{{tag}}}c{epoch}", 100000, "0123456789abcdef", len(record) + 1, 0, 0,
                              "", json.dumps("x" * LONG), 8))
            expect([replies.readline()[:1] for _ in range(3)], [b"*", b":", b":"])


class Stub:
    """A node that says it has all slots, and then refuses everything, as one that has lost its cluster does."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.n_refused = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def answer(self, words):
        if words[0] == b"HELLO":
            return b"%2\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$2\r\nid\r\n:1\r\n"
        if words[:2] == [b"CLUSTER", b"SLOTS"]:
            return b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % self.port
        self.n_refused += 1
        return b"-CLUSTERDOWN The cluster is down\r\n"

    def serve(self, peer):
        with peer, peer.makefile("rb") as requests:
            while line := requests.readline():
                words = []
                for _ in range(int(line[1:])):
                    words.append(requests.read(int(requests.readline()[1:]) + 2)[:-2])
                peer.sendall(self.answer(words))

    def end(self):
        self.listener.close()


class Move:
    """Of a partition's slot, key by key."""

    def __init__(self, source, target, tag):
        self.source, self.target = source, target
        self.slot = source.ask(f"CLUSTER KEYSLOT kv{{{tag}}}m")[1:].strip()
        self.names = [node.ask("CLUSTER MYID").split()[1] for node in (source, target)]

    def begin(self):
        self.target.ask("CLUSTER SETSLOT", self.slot, "IMPORTING", self.names[0])
        self.source.ask("CLUSTER SETSLOT", self.slot, "MIGRATING", self.names[1])

    def migrate(self, key):
        answer = self.source.ask("MIGRATE 127.0.0.1", str(self.target.port), key, "0 5000")
        assert answer.startswith(("+OK", "+NOKEY")), answer

    def end(self):
        while (keys := self.source.ask("CLUSTER GETKEYSINSLOT", self.slot, "1").split("\r\n"))[0] == "*1":
            self.migrate(keys[2])
        for node in (self.target, self.source):
            node.ask("CLUSTER SETSLOT", self.slot, "NODE", self.names[1])


def partitions(server):
    """What `kvctl cluster` lists."""
    kvctl = os.path.join(os.path.dirname(os.environ["KV_SERVER_PROGRAM"]), "kvctl")
    url = f"http://127.0.0.1:{server.port}"
    table = subprocess.run([kvctl, "--url", url, "cluster"], check=True, capture_output=True, text=True).stdout
    listed = json.loads(subprocess.run([kvctl, "--url", url, "cluster", "-o", "json"], check=True,
                                       capture_output=True).stdout)
    expect(len(table.splitlines()), 1 + len(listed))
    expect(table.split()[:3], ["PARTITION", "CONNECTED", "NODE"])
    return listed


def ready_partitions(server):
    status, _, body = server.request("GET", "/readyz?verbose")
    return status, json.loads(body)["partitions"]


def revision_of(server, key):
    return int(server.request("GET", "/storage/" + key)[1]["etag"].strip('"'))


class WebSocket:
    """As much of one as the tests need."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                             "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                             f"Sec-WebSocket-Key: {key}\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.socket.recv(4096):
            pass

    def send(self, *messages):
        frames = b""
        for message in messages:
            text = json.dumps(message).encode()
            frames += bytes([0x81, 0x80 | len(text)]) + bytes(4) + text
        self.socket.sendall(frames)

    def wait_for(self, text):
        received = b""
        while text.encode() not in received:
            more = self.socket.recv(65536)
            assert more, "the connection was closed"
            received += more
        return received.decode(errors="replace")


class Tests:
    def __init__(self):
        self.cluster = Cluster()
        self.steady = Cluster(n_replicas=0, node_timeout_ms=60_000)  # no master is replaced
        self.servers = [self.server() for _ in range(2)]
        self.one, self.two = self.servers

    def server(self, more="", cluster=None, timeout_s=10, lines="", before=""):
        node = f"127.0.0.1:{(cluster or self.cluster).nodes[0].port}"
        return Server(lines, store="redis",
                      options=f'nodes: [{before}"{node}"], timeout: {timeout_s}s{more}')

    def masters_share_the_keys(self):
        for i in range(100):
            expect(put(self.servers[i % 2], f"share/{i}", i)[0], 202)
        for i in range(100):
            expect(get(self.servers[(i + 1) % 2], f"share/{i}"), i)
            expect(self.one.request("GET", f"/storage/share/{i}")[1]["etag"],
                   self.two.request("GET", f"/storage/share/{i}")[1]["etag"])
        for master in self.cluster.masters():
            n = int(master.ask("DBSIZE")[1:])
            assert n > 20, f"a master has {n} keys"

    def told_in_one_order(self):
        """Both servers tell all changes in the same order, that of revisions."""
        feeds = [Feed(server, "order/") for server in self.servers]

        def write(n):
            for i in range(N_WRITES):
                for key in range(N_KEYS):
                    expect(put(self.servers[n % 2], f"order/{n}/{key}", i)[0], 202)
        at_once([lambda n=n: write(n) for n in range(N_WRITERS)])
        expect(put(self.one, "order/end", 1)[0], 202)
        for feed in feeds:
            feed.wait_for("order/end", 1)
            expect(feed.n_resets, 0)
            expect(len(feed.told), N_WRITERS * N_WRITES * N_KEYS + 1)
        expect(feeds[0].told == feeds[1].told, True)
        for n in range(N_WRITERS):
            for key in range(N_KEYS):
                values = [value for name, value in feeds[0].told if name == f"order/{n}/{key}"]
                expect(values, list(range(N_WRITES)))

    def places_of(self, prefix, cluster=None):
        """A key in each partition that has some of the prefix, by its tag: the master and the key."""
        places = {}
        for master in (cluster or self.cluster).masters():
            for tag, key in re.findall(r"kv\{(\d+)\}k(\S+)\r", master.ask(f"KEYS kv{{*}}k{prefix}*")):
                places[tag] = (master, key)
        return places

    def clock_that_is_ahead(self):
        """Writes sent at once are told in the order sent, though one partition assigns larger revisions."""
        for i in range(50):
            expect(put(self.one, f"ahead/{i}", "before")[0], 202)
        (tag, (master, key)), (_, (_, other)) = list(self.places_of("ahead/").items())[:2]
        newest = int(master.ask(f"GET kv{{{tag}}}m").split("\r\n")[1])
        steps = (time.time_ns() // 1000 + AHEAD_US - newest) // 8
        before = n_reconnects(self.one)
        master.ask(f"SET kv{{{tag}}}m {newest + 8 * steps}")
        wait_for(lambda: n_reconnects(self.one) != before, "nobody notices the new revision")
        wait_for(lambda: self.one.request("GET", "/readyz")[0] == 200, "the server is not ready again")
        expect(put(self.one, other, "behind")[0], 202)
        feed = Feed(self.one, "ahead/")
        sent = [((key, other)[i % 2], i) for i in range(6)]
        websocket = WebSocket(self.one)
        websocket.send(*({"type": "set", "payload": {"key": name, "value": value}} for name, value in sent))
        feed.wait_for(*sent[-2])
        feed.wait_for(*sent[-1])
        expect([change for change in feed.told if change in sent], sent)
        websocket.socket.close()

    def increments(self):
        def increment(server):
            for i in range(50):
                body = json.dumps({"increment": 1})
                status = server.request("PATCH", f"/storage/count/{i % 5}", body)[0]
                assert status in (200, 202), status
        at_once([lambda server=server: increment(server) for server in self.servers * 2])
        expect([get(self.one, f"count/{i}") for i in range(5)], [40] * 5)

    def all_are_listed(self):
        names, after = [], ""
        while True:
            status, _, body = self.one.request("GET", "/storage?prefix=share/&limit=7" + after)
            expect(status, 200)
            page = json.loads(body)
            names += [item["key"] for item in page["keys"]]
            if not page.get("cursor"):
                break
            after = "&cursor=" + page["cursor"]
        expect(sorted(set(names)), sorted(f"share/{i}" for i in range(100)))

    def long_values_and_expiry(self):
        feed = Feed(self.two, "more/")
        text = "x" * 300_000
        expect(put(self.one, "more/long", text)[0], 202)
        feed.wait_for("more/long", text)
        expect(get(self.two, "more/long"), text)
        for i in range(20):
            expect(put(self.one, f"more/ttl{i}", i, ttl=500)[0], 202)
        for i in range(20):
            feed.wait_for(f"more/ttl{i}", None)
            expect(get(self.two, f"more/ttl{i}"), 204)

    def master_that_is_killed(self):
        """With `ack: replicas`: no acknowledged write is lost, and every change is told exactly once."""
        servers = [self.server(", ack: replicas") for _ in range(2)]
        feeds = [Feed(server, "kill/") for server in servers]
        acknowledged = [dict() for _ in range(N_WRITERS)]
        answers = set()
        is_over = threading.Event()

        def write(n):
            i = 0
            while not is_over.is_set():
                i += 1
                for key in range(N_KEYS):
                    status = put(servers[n % 2], f"kill/{n}/{key}", i)[0]
                    answers.add(status)
                    if status == 202:
                        acknowledged[n][key] = i
        threads = [threading.Thread(target=write, args=(n,)) for n in range(N_WRITERS)]
        for thread in threads:
            thread.start()

        def least():
            return min((seen.get(key, 0) for seen in acknowledged for key in range(N_KEYS)))
        wait_for(lambda: least() > 3, "nothing is written")
        victim = self.cluster.masters()[1]
        victim.kill()
        wait_for(lambda: len(self.cluster.masters()) == 3, "no replica takes over")
        victim.start()
        before = [dict(seen) for seen in acknowledged]
        wait_for(lambda: all(seen[key] > then[key] for seen, then in zip(acknowledged, before)
                             for key in range(N_KEYS)), "nothing is written behind it")
        is_over.set()
        for thread in threads:
            thread.join()
        assert answers <= {202, 503, 504}, answers
        for n in range(N_WRITERS):
            for key in range(N_KEYS):
                name = f"kill/{n}/{key}"
                assert get(servers[0], name) >= acknowledged[n][key], "an acknowledged write is lost"
                expect(put(servers[1], name, "end")[0], 202)
        for feed in feeds:
            expect(feed.n_resets, 0)
            for n in range(N_WRITERS):
                for key in range(N_KEYS):
                    name = f"kill/{n}/{key}"
                    feed.wait_for(name, "end")
                    told = [value for at, value in feed.told if at == name and value != "end"]
                    expect(told, sorted(set(told)))
                    expect(told[-1] >= acknowledged[n][key], True)
        expect(feeds[0].told == feeds[1].told, True)
        for server in servers:
            server.end()

    def partition_that_moves(self):
        """A slot is moved to another master, key by key, while its keys are written."""
        feed = Feed(self.two, "move/")
        is_over = threading.Event()
        written = [0]

        def write():
            while not is_over.is_set():
                for key in range(N_KEYS):
                    expect(put(self.one, f"move/{key}", written[0])[0], 202)
                written[0] += 1
        thread = threading.Thread(target=write)
        thread.start()
        wait_for(lambda: written[0] > 2, "nothing is written")
        masters = self.cluster.masters()
        source = next(master for master in masters if not master.ask("GET kv{0}m").startswith("-"))
        move = Move(source, next(master for master in masters if master is not source), "0")
        move.begin()
        move.end()
        before = written[0]
        wait_for(lambda: written[0] > before + 2, "nothing is written behind it")
        is_over.set()
        thread.join()
        for key in range(N_KEYS):
            feed.wait_for(f"move/{key}", written[0] - 1)
            values = [value for name, value in feed.told if name == f"move/{key}"]
            expect(values, list(range(written[0])))
        expect(feed.n_resets, 0)

    def long_value_that_has_moved(self):
        """A server that is to read it for its subscribers is sent to another master, and stays where it is."""
        one, two = (self.server(cluster=self.steady) for _ in range(2))
        feed, text = Feed(two, "long/"), "x" * 300_000
        key = "long/moved"
        expect(put(one, key, "before")[0], 202)
        feed.wait_for(key, "before")
        tag, (source, _) = next(iter(self.places_of(key, self.steady).items()))
        move = Move(source, next(master for master in self.steady.masters() if master is not source), tag)
        before = n_reconnects(two)
        two.stop()
        try:
            expect(put(one, key, text)[0], 202)
            move.begin()
            move.migrate(f"kv{{{tag}}}k{key}")
        finally:
            two.go_on()
        try:
            wait_for(lambda: feed.told[-1:] == [(key, text)], "the value is not told")
            expect((n_reconnects(two), feed.n_resets), (before, 0))
        finally:
            move.end()
        expect(put(one, key, "end")[0], 202)
        feed.wait_for(key, "end")
        for server in (one, two):
            server.end()

    def order_while_a_partition_moves(self):
        """Redis would take the second write when it refuses the first one, whose key is not there."""
        server = self.server(cluster=self.steady, timeout_s=40, lines="threads: 1\n")
        n_keys = 100  # so that a partition has several
        for i in range(n_keys):
            expect(put(server, f"moved/{i}", "before", ttl=600_000)[0], 202)
        by_partitions = sorted(self.steady.masters(), key=lambda master: len(tags_of(master)))
        source, target = by_partitions[-1], by_partitions[0]  # so that none loses its last one
        tag = tags_of(source)[0]
        new, old = re.findall(r"moved/\d+", source.ask(f"KEYS kv{{{tag}}}kmoved/*"))[:2]
        expect(server.request("DELETE", "/storage/" + new)[0], 200)
        websocket = WebSocket(server)
        move = Move(source, target, tag)
        move.begin()
        try:
            websocket.send({"type": "set", "payload": {"key": new, "value": "first"}},
                           {"type": "set", "payload": {"key": old, "value": "second"}},
                           {"type": "get", "payload": {"key": old}})
            wait_for(lambda: any(each["reconnects"] for each in partitions(server)), "nothing is refused")
        finally:
            move.end()
        assert '"before"' not in websocket.wait_for('"second"')
        assert revision_of(server, new) < revision_of(server, old), "the second write has overtaken the first one"
        websocket.socket.close()
        server.end()

    def master_that_hangs(self):
        """Its replica is promoted meanwhile, and it comes back as a replica."""
        feeds = [Feed(server, "hang/") for server in self.servers]
        master = self.cluster.masters()[2]
        master.stop()
        try:
            for i in range(N_KEYS):
                status = put(self.servers[i % 2], f"hang/{i}", 1)[0]
                assert status in (202, 503, 504), status
        finally:
            wait_for(lambda: sum("role:master" in node.ask("INFO replication")
                                 for node in self.cluster.nodes if node is not master) == 3,
                     "no replica takes over")
            master.go_on()
        for server in self.servers:
            wait_for(lambda server=server: server.request("GET", "/readyz")[0] == 200,
                     "the server is not ready again")
        for i in range(N_KEYS):
            expect(put(self.servers[i % 2], f"hang/{i}", "end")[0], 202)
        for feed in feeds:
            for i in range(N_KEYS):
                feed.wait_for(f"hang/{i}", "end")

    def master_that_is_deposed(self):
        """It still has writes that were answered 504, executes them when it goes on, and its pushes reach the subscribers
        of its successor. They are lost, so nobody hears of them, although the other replica confirms all that the
        successor says. If it learns of its successor first, it pushes nothing, and is deposed again."""
        cluster = Cluster(n_replicas=2)
        try:
            servers = [self.server(", ack: replicas", cluster, timeout_s=4) for _ in range(2)]
            feeds = [Feed(server, "quiet") for server in servers]
            told = []
            while len(told) < MOST_DEPOSED and not any(OF_ANOTHER_NODE in server.read_log() for server in servers):
                told.append(("quiet", f"before {len(told)}"))
                expect(put(servers[0], *told[-1])[0], 202)
                self.depose(cluster, servers)
            told.append(("quiet", "after"))
            expect(put(servers[0], *told[-1])[0], 202)
            for feed in feeds:
                feed.wait_for(*told[-1])
                expect(feed.told, told)
                expect(feed.n_resets, 0)
            assert any(OF_ANOTHER_NODE in server.read_log() for server in servers), "no deposed master has pushed anything"
            for server in servers:
                server.end()
        finally:
            cluster.end()

    def depose(self, cluster, servers):
        """The master of the key `quiet` hangs, is written to, is replaced, and goes on."""
        cluster.settle()
        master = next(iter(self.places_of("quiet", cluster).values()))[0]
        master.stop()
        try:
            at_once([lambda server=server, i=i: expect(put(server, "quiet", f"ghost {i}")[0], 504)
                     for i in range(N_GHOSTS) for server in servers])
            cluster.wait_for_masters(but=master)
            for server in servers:
                wait_for(lambda server=server: server.request("GET", "/readyz")[0] == 200,
                         "the server is not ready again")
        finally:
            master.go_on()
        cluster.settle()

    def operators_see_the_partitions(self):
        """In `kvctl cluster`, the metrics and /readyz?verbose; also while a master hangs."""
        server = self.server(cluster=self.steady, timeout_s=4)
        expect(put(server, "operators", 1)[0], 202)
        nodes = {f"127.0.0.1:{master.port}": master for master in self.steady.masters()}
        listed = partitions(server)
        expect([each["partition"] for each in listed], list(range(8)))
        expect({each["node"] for each in listed}, set(nodes))
        for each in listed:
            expect((each["connected"], each.get("fault"), each["lag"] < 2000), (True, None, True))
            expect([each[name] for name in ("waiting", "sent", "held", "reconnects", "resyncs")], [0] * 5)
        expect(max(each["revision"] for each in listed), revision_of(server, "operators"))
        expect(ready_partitions(server), (200, {"count": 8, "connected": 8}))
        hung = next(each["node"] for each in listed)
        n_hung = sum(each["node"] == hung for each in listed)
        nodes[hung].stop()
        try:
            wait_for(lambda: ready_partitions(server) == (503, {"count": 8, "connected": 8 - n_hung}),
                     "the master is not missed")
            away = [each for each in partitions(server) if not each["connected"]]
            expect(len(away), n_hung)
            assert all("Redis at 127.0.0.1:" in each["fault"] and each["lag"] > 500 for each in away), away
            metrics = server.request("GET", "/metrics")[2].decode()
            expect(len(re.findall(r"^kvserver_store_partition_connected\{partition=.\d.\} 0$", metrics, re.M)), n_hung)
        finally:
            nodes[hung].go_on()
        wait_for(lambda: ready_partitions(server) == (200, {"count": 8, "connected": 8}), "it is not connected again")
        assert any(each["reconnects"] for each in partitions(server))
        server.end()

    def node_that_refuses_everything(self):
        """It says that it has all slots. The server goes on to the next node, at its start and later."""
        stub = Stub()
        server = self.server(before=f'"127.0.0.1:{stub.port}", ')
        assert stub.n_refused > 0, "the server has not asked it"
        n_refused = stub.n_refused
        for i in range(N_KEYS):
            for master in self.cluster.masters():
                master.ask("CLIENT KILL TYPE pubsub")
            status = put(server, f"stub/{i}", 1)[0]
            assert status in (202, 504), status
        assert stub.n_refused > n_refused, "the server has not asked it again"
        for i in range(N_KEYS):
            put_until_done(server, f"stub/{i}", "end")
        server.end()
        stub.end()

    def redis_that_is_not_there(self):
        """While a server waits for it at its start, its log says so, once."""
        server, port = Server(), reserve_port()
        server.end_process()
        path = server.write("early.yaml", f"listen: [{{host: 127.0.0.1, port: 0}}]\nmodules: {os.environ['KV_TEST_MODULES']}\n"
                            f'storage: {{module: redis, redis: {{nodes: ["127.0.0.1:{port}"], timeout: 4s}}}}\n')
        with open(os.path.join(server.folder.name, "early"), "w+", encoding="utf-8") as log, processes.start(
                [os.environ["KV_SERVER_PROGRAM"], "-c", path], stderr=log) as process:
            def read():
                with open(log.name, encoding="utf-8") as file:
                    return file.read()

            def is_told():
                has_ended = process.poll() is not None
                is_there = "waiting for Redis: " in read()
                assert is_there or not has_ended, read()
                return is_there
            wait_for(is_told, "it is not logged")
            expect(process.poll(), None)
            assert process.wait(PATIENCE_S) != 0, read()
            lines = [line for line in read().splitlines() if "waiting for Redis" in line]
            expect(len(lines), 1)
            assert f"127.0.0.1:{port}: Connection refused" in lines[0], lines[0]
        server.folder.cleanup()

    def one_that_hangs_and_is_written_to(self):
        """That writes can be sent to it is no sign of life."""
        cluster, timeout_s = self.steady, 2
        server = self.server(", order: key", cluster=cluster, timeout_s=timeout_s)
        for i in range(50):
            expect(put(server, f"often/{i}", "before")[0], 202)
        master, key = list(self.places_of("often/", cluster).values())[0]
        master.stop()
        try:
            longest = max(write_often(server, key, 40 * timeout_s, 0.1))
        finally:
            master.go_on()
        assert longest < 3 * timeout_s, f"a write was answered after {longest:.1f} s"
        wait_for(lambda: server.request("GET", "/readyz")[0] == 200, "the server is not ready again")
        expect(put(server, key, "end")[0], 202)
        server.end()

    def read_while_writes_wait(self):
        """A read does not wait for a write to a master that hangs, nor for one behind that."""
        server = self.server(cluster=self.steady, timeout_s=40, lines="threads: 1\n")
        for i in range(50):
            expect(put(server, f"read/{i}", "before")[0], 202)
        places = self.places_of("read/", self.steady).values()
        hung = next(iter(places))[0]
        key = next(key for master, key in places if master is hung)
        others = [key for master, key in places if master is not hung]
        websocket = WebSocket(server)
        hung.stop()
        try:
            websocket.send({"type": "set", "payload": {"key": key, "value": "after"}},
                           {"type": "set", "payload": {"key": others[0], "value": "after"}})
            begin = time.monotonic()
            for _ in range(10):  # the writes are under way by the last of them
                expect(get(server, others[1]), "before")
            assert time.monotonic() - begin < 5, "the read has waited"
        finally:
            hung.go_on()
        websocket.send({"type": "get", "payload": {"key": others[0]}})
        websocket.wait_for('"after"')
        websocket.socket.close()
        server.end()

    def one_that_hangs_while_much_is_written(self):
        """More than the server keeps in line for a partition that it cannot hear. Somebody else writes it."""
        cluster = self.steady
        limits = "limits: {subscriptions_per_connection: 1000000}\n"  # so that no subscriber is reset
        server = self.server(", order: key", cluster=cluster, timeout_s=60, lines=limits)
        feed = Feed(server, "much/")
        hung, *others = cluster.masters()
        tags = [(node, tag) for node in others for tag in tags_of(node)]
        hung.stop()
        try:
            at_once([lambda place=place: write_as_another(*place, N_LONG // len(tags))
                     for place in tags])
            time.sleep(2)
        finally:
            hung.go_on()
        for i in range(N_KEYS):
            expect(put(server, f"much/key/{i}", i)[0], 202)
            expect(get(server, f"much/key/{i}"), i)
        n = N_LONG // len(tags) * len(tags) + N_KEYS
        wait_for(lambda: len(feed.told) >= n, "not all changes are told")
        expect(len({key for key, _ in feed.told}), n)
        expect(feed.n_resets, 0)
        server.end()

    def end(self):
        for server in self.servers:
            server.end()
        self.cluster.end()
        self.steady.end()


def main():
    require_redis()
    report, tests = Report(), Tests()
    report.check("the masters share the keys, and all servers read them", tests.masters_share_the_keys)
    report.check("both servers tell all changes in one order", tests.told_in_one_order)
    report.check("writes sent at once are told in order, though a master's clock is ahead",
                 tests.clock_that_is_ahead)
    report.check("no increment is lost", tests.increments)
    report.check("all keys are listed", tests.all_are_listed)
    report.check("long values are told, and keys expire", tests.long_values_and_expiry)
    report.check("nothing acknowledged is lost, untold or told twice when a master is killed",
                 tests.master_that_is_killed)
    report.check("nothing is missed while a partition moves to another master",
                 tests.partition_that_moves)
    report.check("a long value is told that has moved to another master meanwhile", tests.long_value_that_has_moved)
    report.check("no write overtakes another while their partition moves", tests.order_while_a_partition_moves)
    report.check("all goes on when a master has hung and was replaced", tests.master_that_hangs)
    report.check("nobody hears of the writes that a deposed master still executes", tests.master_that_is_deposed)
    report.check("operators see where the partitions are, and which are away", tests.operators_see_the_partitions)
    report.check("a node that refuses everything is passed over", tests.node_that_refuses_everything)
    report.check("a server that waits for Redis at its start says so", tests.redis_that_is_not_there)
    report.check("a master that hangs is noticed in time while it is written to",
                 tests.one_that_hangs_and_is_written_to)
    report.check("a read does not wait for writes to other partitions", tests.read_while_writes_wait)
    report.check("all is told and answered when a master has hung while much was written",
                 tests.one_that_hangs_while_much_is_written)
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Keys of a Redis Cluster that are lost while their slot is being moved: the target has taken them, and is lost before its
replica has them; or the source, before its replica has their last changes. The newest revision and the log survive at the
other master, so they show no loss. The subscribers of all servers get a `reset`, and clients that resume as well.
Prints TAP.
"""
import contextlib
import json
import os
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from chaos import Subscriber  # pylint: disable=wrong-import-position
from kvserver import Report, Server, Started, wait_for  # pylint: disable=wrong-import-position
from redis_fix_test import Slot, Tests as Fixes  # pylint: disable=wrong-import-position
from redis_parts_test import load_library  # pylint: disable=wrong-import-position
from redis_resume_test import Feed  # pylint: disable=wrong-import-position
from redis_servers import Cluster, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import LIBRARY, expect, get, n_reconnects, put  # pylint: disable=wrong-import-position

README = os.path.join(HERE, "../../modules/store/redis/README.md")
N_KEYS = 60
TTL_MS = 4000
LONG_TTL_MS = 3_600_000
N_MANY = 6000  # in several pages
N_AT_ONCE = 5000
N_LOOKED_AT = 100_000  # in pages that take longer than others wait for a server that has died
N_WAITED_FOR = 200_000  # in so many pages that they take longer than requests may wait
LAST = "(~"            # where a page begins that has none of the tests' keys
MENDING_S = 3          # so long after its last page, a server that mends counts as dead
TIMEOUT_S = 1
PATIENT_S = 60  # for a slow Redis
PAUSE_MS = 100
PAGE = 20
NODE_TIMEOUT_MS = 3000  # a Redis that is busy for longer is replaced
CHECK_S = 1  # servers have seen a mark of a slot by then
ANSWERS = "CLUSTERDOWN The cluster is down", "BUSY Redis is busy running a script"


def slots_at(node, name):
    """Those that the node ascribes to the one of that name."""
    line = next(line for line in node.ask("CLUSTER NODES").split("\n") if line.startswith(name))
    return [slots for slots in line.split()[8:] if not slots.startswith("[")]


class Move(Slot):
    def names(self):
        """Of all keys of the slot at the owner."""
        return re.findall(rf"kv\{{{self.tag}\}}(\S*)\r", self.owner.ask(f"CLUSTER GETKEYSINSLOT {self.number} 1000"))

    def count(self, command, name):
        return int(self.owner.ask(f"{command} kv{{{self.tag}}}{name}")[1:])

    def mended(self):
        """The note of what is being mended."""
        return self.owner.ask(f"HGET kv{{{self.tag}}}i mending").split("\r\n")[1:2]

    def count_moved(self):
        return int(self.other.ask("CLUSTER COUNTKEYSINSLOT", self.number)[1:])

    def drop(self, names):
        """The other master has taken the keys, and loses them."""
        n = self.count_moved()
        keys = " ".join(f"kv{{{self.tag}}}{name}" for name in names)
        answer = self.other.ask(f"ASKING\r\nDEL {keys}")
        wait_for(lambda: self.count_moved() == n - len(names), "the keys stay: " + answer)

    def lose(self, names, mark_s=0):
        """The owner keeps the slot, which is marked for so many seconds."""
        self.begin_move(names)
        self.drop(names)
        time.sleep(mark_s)
        self.end_move()

    def end_move(self):
        self.set(self.owner, "STABLE")
        self.set(self.other, "STABLE")


@contextlib.contextmanager
def repeated(action, every_s=0):
    is_over = threading.Event()

    def repeat():
        while not is_over.wait(every_s):
            action()
    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def slowed(node, what="WRITE", part_s=0.02):
    """It takes writes, or all commands, for only a part of the time."""
    return repeated(lambda: node.ask("CLIENT PAUSE", str(PAUSE_MS), what), PAUSE_MS / 1000 + part_s)


class Tests:
    def __init__(self):
        self.cluster = Cluster(node_timeout_ms=NODE_TIMEOUT_MS)
        self.started = Started()
        self.one, self.two = self.server(), self.server()

    def server(self, timeout_s=10, more=""):
        nodes = f'nodes: ["127.0.0.1:{self.cluster.nodes[0].port}"]'
        return self.started.keep(Server(store="redis", options=f"{nodes}, timeout: {timeout_s}s{more}"))

    def end_servers(self):
        for server in self.servers():
            server.end()

    def start_servers(self):
        self.one, self.two = self.server(), self.server()

    def servers(self):
        return self.one, self.two

    @contextlib.contextmanager
    def losing(self, victim):
        """The master is killed in the end, and its replica has nothing of what happens meanwhile. Yields the replica."""
        replica, = self.cluster.replicas_of(victim)
        name = victim.ask("CLUSTER MYID").split()[1]
        wait_for(lambda: replica.ask("DBSIZE") == victim.ask("DBSIZE"), "the replica does not follow")  # it may have just begun
        wait_for(lambda: slots_at(replica, name) == slots_at(victim, name), "the replica does not know which slots it is to take over")
        replica.stop()
        try:
            victim.ask("CLIENT KILL TYPE replica")
            yield replica
            victim.kill()
        finally:
            replica.go_on()
        self.cluster.wait_for_masters()

    def begin(self, prefix, **more):
        """Returns: the slot, and subscribers at both servers."""
        self.cluster.settle()
        for server in self.servers():
            Fixes.ready(server)
        for i in range(N_KEYS):
            expect(put(self.one, f"{prefix}/{i}", i, **more)[0], 202)
        return Move(self.cluster, prefix + "/"), [Subscriber(server, prefix + "/") for server in self.servers()]

    def list(self, server, prefix):
        """Returns: the keys."""
        status, _, body = server.request("GET", f"/storage?prefix={prefix}/&limit=1000")
        expect(status, 200)
        return sorted(item["key"] for item in json.loads(body)["keys"])

    def check_loss(self, prefix, subscribers, lost):
        """They are gone for all, who know it; the others are there, and the lost ones can be set again."""
        rest = sorted({f"{prefix}/{i}" for i in range(N_KEYS)} - set(lost))
        for server, subscriber in zip(self.servers(), subscribers):
            wait_for(lambda subscriber=subscriber: subscriber.n_resets > 0, "there is no reset")
            assert subscriber.is_synced.wait(10)
            wait_for(lambda subscriber=subscriber: sorted(subscriber.changes) == rest, "not the present state is told")
            Fixes.ready(server)
            for key in lost:
                expect(server.request("GET", "/storage/" + key)[0], 204)
            for key in rest:
                expect(get(server, key), int(key.rpartition("/")[2]))
            expect(self.list(server, prefix), rest)
        if lost:
            expect(put(self.two, lost[0], "new")[0], 202)
            for subscriber in subscribers:
                wait_for(lambda subscriber=subscriber: subscriber.last(lost[0])[1] == "new", "the change is not told")

    def target_is_killed(self):
        """Nobody writes; the slot stays at the source."""
        slot, subscribers = self.begin("target")
        lost = slot.keys[::2]
        with self.losing(slot.other) as replica:
            slot.begin_move(["k" + key for key in lost])
        for node in (slot.owner, replica):  # Valkey passes the mark on
            slot.set(node, "STABLE")
        slot.other.start()
        self.check_loss("target", subscribers, lost)

    def target_goes_on(self):
        """It gets the slot, as a replica that lacks some keys would."""
        slot, subscribers = self.begin("moved")
        lost = slot.keys[1::2]
        slot.begin_move(slot.names())
        slot.drop(["k" + key for key in lost])
        for node in (slot.other, slot.owner):
            slot.set(node, "NODE", slot.ids[slot.other])
        self.check_loss("moved", subscribers, lost)

    def source_is_killed(self):
        """A change of a key was not replicated; the newest revision and the log are at the target."""
        slot, subscribers = self.begin("source")
        key, others = slot.keys[0], ["m", "s", "i", "x"]
        with self.losing(slot.owner) as replica:
            expect(put(self.one, key, "lost")[0], 202)
            for subscriber in subscribers:
                wait_for(lambda subscriber=subscriber: subscriber.last(key)[1] == "lost", "the change is not told")
            slot.begin_move(others)
        slot.owner.start()
        keys = " ".join(f"kv{{{slot.tag}}}{name}" for name in others)
        name, answers = replica.ask("CLUSTER MYID").split()[1], []

        def come_back():  # once the node knows that the replica is a master: of a slot that it imports, it does not learn the owner
            slot.other.ask("CLUSTER SETSLOT", slot.number, "NODE", name)
            answers.append(slot.other.ask(f'MIGRATE 127.0.0.1 {replica.port} "" 0 60000 REPLACE KEYS {keys}'))
            return answers[-1].startswith("+OK")
        try:
            wait_for(come_back, "the keys do not come back")
        except AssertionError as fault:
            raise AssertionError(f"{fault}: {answers[-1]}{self.cluster.describe()}") from fault
        slot.set(slot.other, "STABLE")
        value = int(key.rpartition("/")[2])
        for server, subscriber in zip(self.servers(), subscribers):
            wait_for(lambda subscriber=subscriber: subscriber.n_resets > 0 and subscriber.last(key)[1] == value,
                     "the loss is not told")
            Fixes.ready(server)
            expect(get(server, key), value)

    def index_is_lost(self):
        slot, subscribers = self.begin("index")
        slot.lose(["x", "k" + slot.keys[0]])
        self.check_loss("index", subscribers, slot.keys[:1])

    def deadlines_are_lost(self):
        """They are in the records as well."""
        slot, subscribers = self.begin("deadlines", ttl=TTL_MS)
        slot.lose(["d"], CHECK_S)
        for subscriber in subscribers:
            for i in range(N_KEYS):
                key = f"deadlines/{i}"
                wait_for(lambda subscriber=subscriber, key=key: key in subscriber.changes and subscriber.last(key)[1] is None,
                         f"the end of {key} is not told")

    def deadlines_are_lost_and_others_set(self):
        """Those of keys that were written before are missing all the same."""
        slot, subscribers = self.begin("late", ttl=TTL_MS)
        slot.lose(["d"], CHECK_S)
        expect(slot.owner.ask(f"ZADD kv{{{slot.tag}}}d 99999999999999 another"), ":1\r\n")
        for subscriber in subscribers:
            for key in slot.keys:
                wait_for(lambda subscriber=subscriber, key=key: key in subscriber.changes and subscriber.last(key)[1] is None,
                         f"the end of {key} is not told")

    def all_are_lost(self):
        """With the index: so the number of keys agrees with it."""
        slot, subscribers = self.begin("all")
        time.sleep(CHECK_S)  # servers have counted them
        slot.lose([name for name in slot.names() if name[0] in "kx"])
        self.check_loss("all", subscribers, slot.keys)

    def all_are_lost_again(self):
        """The last entry of the log tells the first loss, and nothing of the keys."""
        slot, subscribers = self.begin("again")
        slot.lose(["k" + slot.keys[0]])
        for subscriber in subscribers:
            wait_for(lambda subscriber=subscriber: subscriber.n_resets > 0, "there is no reset")
        time.sleep(CHECK_S)  # servers have counted what is left
        slot.lose([name for name in slot.names() if name[0] in "kx"], CHECK_S)
        self.check_loss("again", subscribers, slot.keys)

    def many_are_lost(self):
        """A server tells it once."""
        slot, subscribers = self.begin("many")
        log = f"XLEN kv{{{slot.tag}}}s"
        n_entries = int(slot.owner.ask(log)[1:])
        names = " ".join(f"0 {i}" for i in range(N_MANY))
        expect(slot.owner.ask(f"ZADD kv{{{slot.tag}}}x {names}"), f":{N_MANY}\r\n")
        self.check_loss("many", subscribers, [])
        wait_for(lambda: int(slot.owner.ask(f"ZCARD kv{{{slot.tag}}}x")[1:]) < N_MANY, "the index is not mended")
        assert int(slot.owner.ask(log)[1:]) <= n_entries + len(self.servers()), slot.owner.ask(log)

    def requests_do_not_wait_for_all_pages(self):
        """A request is answered 503 after `timeout`, while keys are still compared. Keys that are lost meanwhile are found, too."""
        slot, _ = self.begin("waiting")
        self.end_servers()
        server, index = self.server(TIMEOUT_S), f"kv{{{slot.tag}}}x"
        count = f"ZCARD {index}"
        n_keys = int(slot.owner.ask(count)[1:])
        with slowed(slot.owner):
            for first in range(0, N_WAITED_FOR, N_AT_ONCE):
                slot.owner.ask(f"EVAL \"for i = 1, {N_AT_ONCE} do redis.call('ZADD', KEYS[1], 0, {first} + i) end\" 1 {index}")
            wait_for(lambda: server.request("GET", "/readyz")[0] == 503, "keys are not compared")
            begin = time.monotonic()
            expect(server.request("GET", "/storage/" + slot.keys[0])[0], 503)
            waited_s = time.monotonic() - begin
            n_left = int(slot.owner.ask(count)[1:])
        assert n_left > N_WAITED_FOR / 10, f"keys were no longer compared: {n_left} are left after {waited_s} s"
        Fixes.ready(server)
        expect(get(server, slot.keys[0]), int(slot.keys[0].rpartition("/")[2]))
        wait_for(lambda: int(slot.owner.ask(count)[1:]) == n_keys, "the index is not mended")
        server.end()
        self.start_servers()

    def call(self, slot, function, at, n=PAGE):
        """As a server does that dies behind this page."""
        epoch = slot.owner.ask(f"HGET kv{{{slot.tag}}}i epoch").split()[1]
        keys = " ".join(f"kv{{{slot.tag}}}{name}" for name in "xmsdni")
        answer = slot.owner.ask(f'FCALL {function} 6 {keys} kv{{{slot.tag}}}c{epoch} 100000 8 0 kv{{{slot.tag}}}k {at} {n} 0')
        assert answer.startswith("*3"), answer

    def server_dies_while_it_mends_deadlines(self):
        """It has told the loss, so the log says no more about the keys before."""
        slot, _ = self.begin("dies", ttl=LONG_TTL_MS)
        self.end_servers()
        slot.lose(["d", "k" + slot.keys[0]])
        self.call(slot, "kv1_mend", "-")
        self.start_servers()
        count = f"ZCARD kv{{{slot.tag}}}d"
        wait_for(lambda: int(slot.owner.ask(count)[1:]) == len(slot.keys) - 1, "deadlines are missing")
        wait_for(lambda: slot.mended() == ["0"], "the mending is not ended")

    def server_dies_while_it_mends_the_index(self):
        slot, _ = self.begin("index-dies", ttl=LONG_TTL_MS)
        self.end_servers()
        slot.lose(["x", "d"])
        self.call(slot, "kv1_regain", "0")
        self.start_servers()
        wait_for(lambda: slot.mended() == ["0"], "nobody goes on")
        for server in self.servers():
            Fixes.ready(server)
            expect(self.list(server, "index-dies"), sorted(f"index-dies/{i}" for i in range(N_KEYS)))

    def others_go_on_while_a_server_mends(self):
        """They serve the partition, also while it only looks at many keys that are whole, and the loss is told once."""
        self.end_servers()
        self.one, self.two = self.server(PATIENT_S), self.server(PATIENT_S)
        slot, subscribers = self.begin("slow")
        keys = f"2 kv{{{slot.tag}}}x kv{{{slot.tag}}}k"
        for first in range(0, N_LOOKED_AT, N_AT_ONCE):
            slot.owner.ask(f"EVAL \"for i = {first} + 1, {first} + {N_AT_ONCE} do redis.call('ZADD', KEYS[1], 0, '~' .. i) "
                           f"redis.call('SET', KEYS[2] .. '~' .. i, struct.pack('>I8I8', 1, 0) .. '1') end\" {keys}")
        n_entries, n_before = slot.count("XLEN", "s"), int(n_reconnects(self.two))
        self.two.stop()
        slot.owner.ask(f"ZADD kv{{{slot.tag}}}x 0 !")
        with slowed(slot.owner, "ALL", 0.005):
            wait_for(lambda: slot.mended() == ["1"], "the index is not mended")
            began = time.monotonic()
            self.two.go_on()
            wait_for(lambda: subscribers[1].n_resets == 1 and subscribers[1].is_synced.is_set(), "there is no reset")
            Fixes.ready(self.two)
            expect((slot.mended(), self.one.request("GET", "/readyz")[0]), (["1"], 503))
            wait_for(lambda: slot.mended() == ["0"], "the index is still mended")
            took_s = time.monotonic() - began
        assert took_s > MENDING_S + CHECK_S, took_s
        Fixes.ready(self.one)
        time.sleep(CHECK_S)  # the servers compare again
        expect((int(n_reconnects(self.two)), slot.count("XLEN", "s")), (n_before + 1, n_entries + 1))  # that has a gap
        for server, subscriber in zip(self.servers(), subscribers):
            expect(get(server, slot.keys[0]), int(slot.keys[0].rpartition("/")[2]))
            wait_for(lambda subscriber=subscriber: subscriber.n_resets == 1, "there is no reset, or another one")

    def servers_connect_while_another_one_mends(self):
        """They do not wait for it, do not tell the loss once more, and leave the note as it is."""
        slot, _ = self.begin("joins")
        for server in self.servers():
            server.stop()
        expect(slot.owner.ask(f"ZREM kv{{{slot.tag}}}x {slot.keys[0]}"), ":1\r\n")
        self.call(slot, "kv1_regain", "0", N_MANY)  # all of them
        n_entries = slot.count("XLEN", "s")
        with repeated(lambda: self.call(slot, "kv1_mend", LAST), CHECK_S / 2):
            for server in self.servers():
                server.go_on()
            for server in self.servers():
                wait_for(lambda server=server: "can no longer be read" in server.read_log(), "the connection is not lost")
                Fixes.ready(server)
            before = [n_reconnects(server) for server in self.servers()]
            time.sleep(MENDING_S + CHECK_S)
            expect(([n_reconnects(server) for server in self.servers()], slot.count("XLEN", "s"), slot.mended()),
                   (before, n_entries, ["2"]))
        self.call(slot, "kv1_mend", "+")
        time.sleep(CHECK_S)
        for server in self.servers():
            Fixes.ready(server)
            expect(self.list(server, "joins"), sorted(f"joins/{i}" for i in range(N_KEYS)))
        expect(([n_reconnects(server) for server in self.servers()], slot.count("XLEN", "s")), (before, n_entries))

    def server_dies_while_others_are_connected(self):
        slot, subscribers = self.begin("beside")
        before = [n_reconnects(server) for server in self.servers()]
        self.call(slot, "kv1_mend", LAST)
        time.sleep(CHECK_S)
        expect(([n_reconnects(server) for server in self.servers()], slot.mended()), (before, ["1"]))
        wait_for(lambda: slot.mended() == ["0"], "nobody goes on")
        for server, subscriber in zip(self.servers(), subscribers):
            Fixes.ready(server)
            expect(subscriber.n_resets, 0)

    def load(self, text):
        for node in self.cluster.masters():
            load_library(node, text)

    def comparison_fails_for_another_reason(self):
        """Only a missing right lets losses go unnoticed: everything else is over soon, and the keys are compared then."""
        self.begin("fails")
        self.end_servers()
        with open(LIBRARY, encoding="utf-8") as file:
            own = file.read()
        newer = re.sub(r"VERSION = \d+", "VERSION = 999999", own, count=1)
        for answer in ANSWERS:
            self.load(newer.replace("callback = check,", f"callback = function() return redis.error_reply('{answer}') end,"))
            server = self.server()
            assert "unnoticed" not in server.read_log(), server.read_log()
            server.end()
        self.load(own)
        self.start_servers()

    def grant(self, commands):
        """Nothing else to the user kv."""
        for node in self.cluster.nodes:
            answer = node.ask("ACL SETUSER kv reset on >right ~kv{* &kv{*", *("+" + command for command in commands))
            expect(answer, "+OK\r\n")

    def listed_rights_suffice(self):
        """Those of README.md. Without one, the log says that a loss would go unnoticed."""
        with open(README, encoding="utf-8") as file:
            text = re.search(r"or at least (`hello`.*?) as well\. Without `asking`", file.read(), re.S)[1]
        commands = [word for word in re.findall(r"`([a-z_|]+)`", text) if word not in ("waitaof", "database")]  # of Redis 7.2
        slot, _ = self.begin("rights", ttl=LONG_TTL_MS)
        self.end_servers()
        user = ", user: kv, password: right"
        self.grant(commands)
        self.one, self.two = self.server(more=user), self.server(more=user)
        subscribers = [Subscriber(server, "rights/") for server in self.servers()]
        time.sleep(CHECK_S)  # servers have counted the keys
        slot.lose(["d", "k" + slot.keys[0]])
        self.check_loss("rights", subscribers, slot.keys[:1])
        for server in self.servers():
            assert "unnoticed" not in server.read_log(), server.read_log()
        self.end_servers()
        for right in "cluster|countkeysinslot", "zcard", "zscore":
            self.grant([command for command in commands if command != right])
            server = self.server(more=user)
            assert "lost keys would go unnoticed" in server.read_log(), (right, server.read_log())
            server.end()
        self.start_servers()

    def others_are_there(self):
        """Keys of others in the slot: nothing is lost, and nothing is written to find that."""
        slot, subscribers = self.begin("others")
        expect(slot.owner.ask(f"SET others{{{slot.tag}}} 1"), "+OK\r\n")
        expect(slot.owner.ask("CONFIG SET min-replicas-to-write 2"), "+OK\r\n")
        try:
            n_lost = [server.read_log().count("was lost") for server in self.servers()]
            slot.owner.ask("CLIENT KILL TYPE pubsub")
            for server, n in zip(self.servers(), n_lost):
                wait_for(lambda server=server, n=n: server.read_log().count("was lost") > n, "the connection is not lost")
                Fixes.ready(server)
                expect(get(server, slot.keys[0]), int(slot.keys[0].rpartition("/")[2]))
        finally:
            expect(slot.owner.ask("CONFIG SET min-replicas-to-write 0"), "+OK\r\n")
            slot.owner.ask(f"DEL others{{{slot.tag}}}")
        expect([subscriber.n_resets for subscriber in subscribers], [0, 0])

    def log_is_lost(self):
        slot, subscribers = self.begin("log")
        slot.lose(["s", "k" + slot.keys[0]])
        self.check_loss("log", subscribers, slot.keys[:1])

    def nobody_is_there(self):
        """A client that resumes at a server started later gets a reset."""
        slot, subscribers = self.begin("nobody")
        feed = Feed(self.one, "nobody/")
        expect(put(self.one, "nobody/last", 1)[0], 202)
        feed.wait_for("nobody/last", 1)
        self.end_servers()
        slot.lose(["k" + slot.keys[0]])
        self.start_servers()
        for server in self.servers():
            again = Feed(server, "nobody/", feed.last_id)
            expect(again.n_resets, 1)
            expect([key for key, _ in again.told if key == slot.keys[0]], [])
        del subscribers

    def nothing_is_lost(self):
        """A move that is taken back."""
        slot, subscribers = self.begin("back")
        slot.begin_move(["k" + key for key in slot.keys[::2]])
        slot.set(slot.owner, "STABLE")
        slot.complete()
        for server in self.servers():
            Fixes.ready(server)
            for i in range(N_KEYS):
                expect(get(server, f"back/{i}"), i)
        expect(put(self.one, slot.keys[0], "on")[0], 202)
        for subscriber in subscribers:
            wait_for(lambda subscriber=subscriber: subscriber.last(slot.keys[0])[1] == "on", "the change is not told")
            expect(subscriber.n_resets, 0)

    def end(self):
        self.started.kill()
        self.cluster.end()


def main():
    require_redis()
    report, tests = Report(), Tests()
    report.check_each((
        ("a move that is taken back loses nothing", tests.nothing_is_lost),
        ("a target is killed, and the source goes on", tests.target_is_killed),
        ("keys are lost, and the target goes on", tests.target_goes_on),
        ("a source is killed, and an older value is left", tests.source_is_killed),
        ("an index is lost", tests.index_is_lost),
        ("the deadlines are lost", tests.deadlines_are_lost),
        ("deadlines are lost, and others set before that is noticed", tests.deadlines_are_lost_and_others_set),
        ("a log is lost", tests.log_is_lost),
        ("all keys and the index are lost", tests.all_are_lost),
        ("all keys and the index are lost soon after other keys", tests.all_are_lost_again),
        ("many keys are lost", tests.many_are_lost),
        ("requests do not wait until all keys have been compared", tests.requests_do_not_wait_for_all_pages),
        ("a server dies while it mends the deadlines", tests.server_dies_while_it_mends_deadlines),
        ("a server dies while it mends the index", tests.server_dies_while_it_mends_the_index),
        ("servers connect while another one mends", tests.servers_connect_while_another_one_mends),
        ("a server dies while it mends, and others are connected", tests.server_dies_while_others_are_connected),
        ("keys cannot be compared for another reason than rights", tests.comparison_fails_for_another_reason),
        ("a user with the listed rights", tests.listed_rights_suffice),
        ("other keys in the slot, and a Redis that takes no writes", tests.others_are_there),
        ("keys are lost while no server runs", tests.nobody_is_there),
        ("other servers go on while one mends", tests.others_go_on_while_a_server_mends)))
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Data moves between the store `redis`, single and over a Cluster, and every other store: by export and
import, and by backup and restore, offline and with kvctl. Prints TAP. KV_TEST_STORES names the others.
"""
import itertools
import json
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import processes  # pylint: disable=wrong-import-position
from backup_test import History, Writers, expect_same, fill, take  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position
from redis_servers import Cluster, Redis, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import expect  # pylint: disable=wrong-import-position

KVCTL = os.path.join(os.path.dirname(os.environ["KV_SERVER_PROGRAM"]), "kvctl")
OTHERS = os.environ.get("KV_TEST_STORES", "memory simple lmdb rocksdb").split()
REDIS = ("redis", "cluster")
VOLATILE = ("memory", "simple")
TTL_MS = 3_600_000
LONG = 300_000

# As they are sent: a value keeps each byte.
STATE = {"": '"the empty key"', "\0": '{"a":\t1.0e5 , "a":[1E400,-0.0]}', "é/\u2028\U0001f600": '"\\ud800 \\/ é"',
         "long": json.dumps("x" * LONG), "k" * 3000: "[]", "ttl/one": "1", "ttl/two": "null"}
STATE.update({f"many/{i}": str(i) for i in range(2500)})


def kvctl(server, *arguments, given=None):
    command = [KVCTL, "--url", f"http://127.0.0.1:{server.port}", *arguments]
    outcome = processes.run(command, check=False, capture_output=True, input=given, timeout=PATIENCE_S)
    assert outcome.returncode == 0, (arguments, outcome.returncode, outcome.stderr)
    return outcome.stdout


def write_state(server):
    lines = [f'{{"key":{json.dumps(key)},"value":{value}' + (f',"ttl":{TTL_MS}}}' if key.startswith("ttl/") else "}")
             for key, value in STATE.items()]
    kvctl(server, "import", given="\n".join(lines).encode())


def read_lines(lines):
    """Value and TTL of each key. Digits stay as they are."""
    states = {}
    for line in lines.splitlines():
        text = line.decode()
        read = json.loads(text, parse_int=str, parse_float=str)
        begin = text.index('"value":') + len('"value":') if read["key"] == "" else text.index(
            ',"value":', len(json.dumps(read["key"])) // 2) + len(',"value":')
        end = text.rindex(',"ttl":') if "ttl" in read else text.rindex(',"revision":')
        assert read["key"] not in states, f"{read['key']} comes twice"
        states[read["key"]] = (text[begin:end], read.get("ttl"))
    return states


def check_state(lines):
    states = read_lines(lines)
    expect(set(states) == set(STATE), True)
    for key, (value, ttl) in states.items():
        expect(value, STATE[key])
        if not key.startswith("ttl/"):
            expect(ttl, None)
        else:
            assert TTL_MS - 300_000 < int(ttl) <= TTL_MS, ttl


class Tests:
    def __init__(self):
        self.redis, self.cluster = Redis(), Cluster(n_replicas=0)
        self.folder = tempfile.mkdtemp(prefix="kv-transfer-")
        self.numbers = itertools.count()
        self.taken = {}  # of each kind: the paths of an export and of a backup

    def place(self, kind):
        """The name and the options of a store that does not exist yet."""
        number = next(self.numbers)
        if kind in VOLATILE:
            return kind, ""
        if kind in REDIS:
            nodes = ", ".join(f'"127.0.0.1:{node.port}"' for node in self.cluster.nodes)
            where = f'unix: "{self.redis.socket}"' if kind == "redis" else f"nodes: [{nodes}], partitions: 4"
            return "redis", f"{where}, timeout: 10s, prefix: t{number}"
        return kind, f'path: "{self.folder}/store{number}"'

    def server(self, place, arguments=()):
        return Server(store=place[0], options=place[1], arguments=arguments)

    def run_offline(self, place, *arguments, code=0, says=""):
        """The program, to its end; its store has no server. says: what it says if it fails."""
        path = os.path.join(self.folder, "offline.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"modules: {os.environ['KV_TEST_MODULES']}\n"
                       f"storage: {{module: {place[0]}, {place[0]}: {{{place[1]}}}}}\n")
        outcome = processes.run([os.environ["KV_SERVER_PROGRAM"], "-c", path, *arguments], check=False,
                                capture_output=True, timeout=PATIENCE_S)
        assert outcome.returncode == code and says in outcome.stderr.decode(), (arguments, outcome.stderr)
        return outcome.stdout

    def write(self, name, lines):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(lines)
        return path

    def source(self, kind):
        place = self.place(kind)
        server = self.server(place)
        write_state(server)
        exported = kvctl(server, "export")
        check_state(exported)
        backup = os.path.join(self.folder, f"{kind}.backup")
        kvctl(server, "backup", backup)
        server.end()
        if kind not in VOLATILE:
            exported = self.run_offline(place, "--export")
            check_state(exported)
        self.taken[kind] = self.write(f"{kind}.export", exported), backup

    def load(self, kind, how, path):
        """Offline; a volatile store is served then."""
        place = self.place(kind)
        if kind not in VOLATILE:
            self.run_offline(place, how, path)
        server = self.server(place, (how, path) if kind in VOLATILE else ())
        check_state(kvctl(server, "export"))
        server.end()

    def move(self, source, target):
        exported, backup = self.taken[source]
        self.load(target, "--import", exported)
        self.load(target, "--restore", backup)
        for words in ("import", exported), ("restore", "--live", backup):
            server = self.server(self.place(target))
            kvctl(server, *words)
            check_state(kvctl(server, "export"))
            server.end()

    def refusals(self, kind):
        """A store is not restored over, and not exported where there is none."""
        place, backup = self.place(kind), self.taken["redis"][1]
        self.run_offline(place, "--restore", backup)
        self.run_offline(place, "--restore", backup, code=1, says="has a store already")
        self.run_offline(self.place(kind), "--export", code=1, says="there is no store at")

    def backup_while_all_write(self, kind):
        """It is the state at its revision, whichever server a change was made at. Of a value above 64 KiB, a server may
        skip states that were replaced before it read them."""
        place = self.place(kind)
        servers = [self.server(place) for _ in range(2)]
        fill(servers[0], 6)
        histories = [History(server) for server in servers]
        for history in histories:
            assert history.is_synced.wait(PATIENCE_S), "the history does not begin"
        writers = [Writers(server, first=3 * i) for i, server in enumerate(servers)]
        wait_for(lambda: all(len(each.touches) > 5 for each in writers), "the writers do not begin")
        backups = [take(server) for server in servers * 2]
        for each in writers:
            each.end()
        for backup in backups:
            for history in histories:
                state, expected = backup.state(), history.at(backup.revision)
                expect_same({**state, "hot/long": None}, {**expected, "hot/long": None})
            least = {}
            for revision, key, deadline in itertools.chain.from_iterable(each.touches for each in writers):
                if revision <= backup.revision:
                    least[key] = max(deadline, least.get(key, 0))
            assert least, "there was no touch before the backup"
            late = [key for key, deadline in least.items() if backup.deadline(key) < deadline]
            assert not late, f"{len(late)} of {len(least)} deadlines are older, as of {late[:3]}"
        for history in histories:
            history.connection.close()
        for server in servers:
            server.end()

    def end(self):
        self.redis.end()
        self.cluster.end()
        shutil.rmtree(self.folder)


def main():
    require_redis()
    report, tests = Report(), Tests()
    kinds = [*OTHERS, *REDIS]
    for kind in kinds:
        report.check(f"{kind} is exported and backed up", lambda kind=kind: tests.source(kind))
    for source, target in itertools.product(kinds, kinds):
        if source in REDIS or target in REDIS:
            report.check(f"{source} moves to {target}", lambda one=source, other=target: tests.move(one, other))
    for kind in REDIS:
        report.check(f"a store of {kind} is not restored over, nor made by an export", lambda kind=kind: tests.refusals(kind))
        report.check(f"a backup of {kind} is exact while two servers write", lambda kind=kind: tests.backup_while_all_write(kind))
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

"""Redis servers for tests in Python, each with a folder, a port and a Unix socket of its own."""
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import processes
from kvserver import PATIENCE_S, stop, wait_for
from ports import reserve_port

SKIPPED = 77
MOST_QUESTIONS = 8
MOST_ROUNDS_OF_FIX = 20
PROGRAM = os.environ.get("KV_TEST_REDIS_PROGRAM", "redis-server")  # or a valkey-server
CLI = os.path.join(os.path.dirname(PROGRAM), os.path.basename(PROGRAM).replace("-server", "-cli"))


def require_redis():
    """Ends the program as skipped if there is no Redis 7, or the requested Valkey."""
    program = shutil.which(PROGRAM)
    version = subprocess.run([program, "--version"], capture_output=True, text=True,
                             check=True).stdout if program else ""
    if int((re.findall(r" v=(\d+)", version) or ["0"])[0]) < 7:
        print(f"1..0 # SKIP there is no {PROGRAM} of version 7 or later")
        sys.exit(SKIPPED)


class Redis:
    """arguments: further arguments of the program, in which %port is its port; has_port: whether it listens without TLS; more: further variables of its environment."""

    def __init__(self, *arguments, has_port=True, more=None):
        self.folder = tempfile.mkdtemp(prefix="kv-redis-")
        self.port = reserve_port()
        self.socket = os.path.join(self.folder, "redis.sock")
        self.arguments = ["--port", str(self.port if has_port else 0), "--unixsocket", self.socket,
                          "--dir", self.folder, "--save", "", "--appendonly", "no",
                          "--logfile", os.path.join(self.folder, "log"),
                          *(argument.replace("%port", str(self.port)) for argument in arguments)]
        self.environment = {**os.environ, **(more or {})}
        self.process = None
        try:
            self.start()
        except BaseException:
            self.end()
            raise

    def start(self):
        self.process = processes.start([PROGRAM, *self.arguments], env=self.environment)
        wait_for(self.is_there, "redis-server does not start")

    def is_there(self):
        assert self.process.poll() is None, "redis-server has ended: " + self.read_log()
        try:
            return self.ask("PING").startswith("+PONG")
        except OSError:
            return False

    def read_log(self):
        path = os.path.join(self.folder, "log")
        if not os.path.exists(path):  # it has refused its arguments
            return "it has written no log"
        with open(path, encoding="utf-8") as log:
            return log.read()[-2000:]

    def ask(self, *words):
        """Sends a command of one line. Returns: the start of its answer."""
        try:
            return self.ask_once(*words)
        except ConnectionResetError:  # sentinels close all connections of a master that they demote
            return self.ask_once(*words)

    def ask_once(self, *words):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(PATIENCE_S)
            peer.connect(self.socket)
            peer.sendall((" ".join(words) + "\r\n").encode())
            return peer.recv(65536).decode(errors="replace")

    def stop(self):
        stop(self.process)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def end(self):
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.folder)


def end_all(servers):
    for server in servers:
        server.end()


@contextlib.contextmanager
def ended_on_failure(servers):
    """Ends those that the list has by then if the block fails, so that a constructor that fails leaves none."""
    try:
        yield
    except BaseException:
        end_all(servers)
        raise


class Sentinel(Redis):
    """A sentinel that watches a master by the name `main`. lines: further lines of its configuration."""

    def __init__(self, master, quorum, down_ms, *lines, has_port=True, announced_port=None):
        self.lines = [f"sentinel monitor main 127.0.0.1 {announced_port or master.port} {quorum}",
                      f"sentinel down-after-milliseconds main {down_ms}",
                      "sentinel failover-timeout main 3000", "sentinel parallel-syncs main 2", *lines]
        super().__init__(has_port=has_port)

    def start(self):
        path = os.path.join(self.folder, "sentinel.conf")
        if not os.path.exists(path):  # it keeps its state there
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join(self.lines) + "\n")
        self.process = processes.start([PROGRAM, path, "--sentinel", *self.arguments])
        wait_for(self.is_there, "the sentinel does not start")
        # Else it takes ten seconds until it knows the replicas of a new master, and eight until it demotes an old one.
        assert self.ask("SENTINEL DEBUG INFO-PERIOD 500 PUBLISH-PERIOD 500").startswith("+OK")

    def master_port(self):
        return int(self.ask("SENTINEL GET-MASTER-ADDR-BY-NAME main").split("\r\n")[4])


class Guarded:
    """A master with replicas, and sentinels that watch them. options: of the servers."""

    def __init__(self, *options, n_replicas=2, n_sentinels=3, down_ms=1000, sentinel_lines=()):
        options = ("--repl-diskless-sync-delay", "0", *options)
        self.n_replicas = n_replicas
        self.nodes, self.sentinels = [], []
        with ended_on_failure(self.nodes), ended_on_failure(self.sentinels):
            self.nodes.append(Redis(*options))
            for _ in range(n_replicas):
                self.nodes.append(Redis("--replicaof", "127.0.0.1", str(self.nodes[0].port), *options))
            wait_for(lambda: self.nodes[0].ask("INFO replication").count("state=online") == n_replicas,
                     "a replica does not connect")
            for _ in range(n_sentinels):
                self.sentinels.append(Sentinel(self.nodes[0], 1 + n_sentinels // 2, down_ms, *sentinel_lines))
            for sentinel in self.sentinels:
                wait_for(lambda sentinel=sentinel: self.counts(sentinel) == [n_replicas, n_sentinels - 1],
                         "the sentinels do not find each other and the replicas")

    @staticmethod
    def counts(sentinel):
        words = sentinel.ask("SENTINEL MASTER main").split("\r\n")
        return [int(words[words.index(name) + 2]) for name in ("num-slaves", "num-other-sentinels")]

    def master(self):
        """The node that all sentinels name."""
        ports = {sentinel.master_port() for sentinel in self.sentinels}
        found = [node for node in self.nodes if {node.port} == ports]
        return found[0] if found else None

    def settle(self):
        """Waits until all nodes run, the sentinels name one master, and the others are its replicas."""
        def is_settled():
            master = self.master()
            return (master is not None
                    and master.ask("INFO replication").count("state=online") == self.n_replicas)
        wait_for(is_settled, "the replicas do not follow the master")

    def demote(self):
        """Makes the sentinels replace a working master, as soon as they can."""
        wait_for(lambda: self.sentinels[0].ask("SENTINEL FAILOVER main").startswith("+OK"), "no replica is fit")

    def wait_for_another(self, old):
        wait_for(lambda: self.master() not in (None, old)
                 and "role:master" in self.master().ask("INFO replication"), "no replica takes over")
        return self.master()

    def end(self):
        end_all(self.sentinels + self.nodes)


class Proxy:
    """Passes on what a server and Redis send each other, over a socket of its own. Changes come over the connection that
    has subscribed to them; hold() keeps back what Redis sends over that one. catch() keeps back the next request that
    calls this function, and all behind it on its connection, until let_go(). cut() closes all connections, and refuses
    new ones until mend()."""

    def __init__(self, redis_path):
        self.folder = tempfile.mkdtemp(prefix="kv-proxy-")
        self.redis_path, self.path = redis_path, os.path.join(self.folder, "socket")
        self.may_pass = threading.Event()
        self.may_pass.set()
        self.is_cut, self.connections = False, []
        self.wanted, self.has_caught, self.may_ask = None, threading.Event(), threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def hold(self):
        self.may_pass.clear()

    def catch(self, function):
        self.has_caught.clear()
        self.may_ask.clear()
        self.wanted = function.encode()

    def wait_for_catch(self):
        assert self.has_caught.wait(PATIENCE_S), "there is no such request"

    def let_go(self):
        self.may_pass.set()
        self.may_ask.set()

    def cut(self):
        self.is_cut = True
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is closed
                pass
        self.connections = []

    def mend(self):
        self.is_cut = False

    def accept(self):
        while True:
            try:
                server, _ = self.listener.accept()
            except OSError:  # it is closed
                return
            if self.is_cut:
                server.close()
                continue
            redis, has_subscribed = socket.socket(socket.AF_UNIX), threading.Event()
            redis.connect(self.redis_path)
            self.connections += [server, redis]
            for source, sink, is_of_redis in (server, redis, False), (redis, server, True):
                threading.Thread(target=self.pass_on, args=(source, sink, is_of_redis, has_subscribed),
                                 daemon=True).start()

    def pass_on(self, source, sink, is_of_redis, has_subscribed):
        try:
            while sent := source.recv(1 << 20):
                if not is_of_redis and b"SSUBSCRIBE" in sent:
                    has_subscribed.set()
                if not is_of_redis and self.wanted is not None and self.wanted in sent:
                    self.wanted = None
                    self.has_caught.set()
                    self.may_ask.wait()
                if is_of_redis and has_subscribed.is_set():
                    self.may_pass.wait()
                sink.sendall(sent)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # the other end is closed
            pass

    def end(self):
        self.let_go()
        self.listener.close()
        shutil.rmtree(self.folder)


class Cluster:
    """A Redis Cluster: masters, each with replicas. arguments: further arguments of each node; cli: those of redis-cli;
    more: further environment of a node, by its number."""

    def __init__(self, n_masters=3, n_replicas=1, node_timeout_ms=1500, arguments=(), has_port=True, cli=(),
                 more=lambda i: None):
        self.n_masters, self.n_replicas = n_masters, n_replicas
        self.nodes = []
        with ended_on_failure(self.nodes):
            for i in range(n_masters * (1 + n_replicas)):
                self.nodes.append(Redis(
                    "--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout_ms),
                    "--cluster-require-full-coverage", "no", "--cluster-migration-barrier", str(n_replicas),
                    "--repl-diskless-sync-delay", "0",
                    "--cluster-port", str(reserve_port()), *arguments, has_port=has_port, more=more(i)))
            self.form(cli)

    def form(self, cli):
        """Makes the nodes a cluster, and waits until it works."""
        processes.run([CLI, *cli, "--cluster", "create",
                       *(f"127.0.0.1:{node.port}" for node in self.nodes),
                       "--cluster-replicas", str(self.n_replicas), "--cluster-yes"],
                      check=True, capture_output=True)
        for node in self.nodes:
            wait_for(lambda node=node: "cluster_state:ok" in node.ask("CLUSTER INFO"),
                     "the cluster does not form")
        for master in self.masters():
            wait_for(lambda master=master: master.ask("INFO replication").count("state=online")
                     == self.n_replicas, "a replica does not connect")

    def masters(self, but=None):
        """but: a stopped node, which is not asked."""
        return [node for node in self.nodes if node is not but and node.process.poll() is None
                and "role:master" in node.ask("INFO replication")]

    def replicas_of(self, master):
        ports = re.findall(r"slave\d+:ip=\S+?,port=(\d+),state=online", master.ask("INFO replication"))
        return [node for node in self.nodes if str(node.port) in ports]

    def knows_replicas(self, master):
        """Whether the master has all its replicas, and passes on what is published to them."""
        name = master.ask("CLUSTER MYID").split()[1]
        return (len(self.replicas_of(master)) == self.n_replicas
                and len(re.findall(rf"slave {name} \S+ \S+ \S+ connected", master.ask("CLUSTER NODES"))) == self.n_replicas)

    def wait_for_masters(self, but=None):
        """Waits until all slots have a master again."""
        wait_for(lambda: len(self.masters(but)) == self.n_masters, "no replica takes over")

    def settle(self):
        """Waits until every node runs, every master has its replicas, and all nodes agree."""
        def is_settled():
            masters = self.masters()
            return (len(masters) == self.n_masters
                    and all(self.knows_replicas(master) for master in masters)
                    and all("cluster_state:ok" in node.ask("CLUSTER INFO") for node in self.nodes))
        wait_for(is_settled, "the cluster does not settle")

    def call(self, *arguments, node=None):
        """redis-cli --cluster, whose questions are answered with yes. Returns: the exit code and the output."""
        command = [CLI, "--cluster", arguments[0], f"127.0.0.1:{(node or self.masters()[0]).port}",
                   *map(str, arguments[1:])]
        result = processes.run(command, input="yes\n" * MOST_QUESTIONS, capture_output=True, text=True, check=False,
                               timeout=2 * PATIENCE_S)
        return result.returncode, result.stdout + result.stderr

    def repair(self):
        """As the store's README.md says. The target of a move may have told nobody of its last slot, and may have died while it took
        keys: these are at both masters then."""
        options = []
        for _ in range(MOST_ROUNDS_OF_FIX):
            code, output = self.call("fix", *options)
            if code == 0 and self.call("check")[0] == 0:
                return
            options = ["--cluster-replace"] if "Value check failed" in output else []
            time.sleep(1)
        raise AssertionError(f"the cluster cannot be repaired: {output}\n{self.describe()}")

    def describe(self):
        """The view that each running node has of the cluster."""
        return "\n".join(node.ask("CLUSTER NODES") for node in self.nodes if node.process.poll() is None)

    def master_of(self, key):
        """The node that has the key."""
        for node in self.masters():
            if not node.ask("GET", key).startswith("-"):
                return node
        raise AssertionError("nobody has the key " + key)

    def end(self):
        end_all(self.nodes)

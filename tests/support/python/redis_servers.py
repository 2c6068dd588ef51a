"""Redis servers for tests in Python, each with a folder, a port and a Unix socket of its own."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from kvserver import PATIENCE_S, wait_for

SKIPPED = 77


def require_redis():
    """Ends the program as skipped if there is no Redis 7."""
    program = shutil.which("redis-server")
    version = subprocess.run([program, "--version"], capture_output=True, text=True,
                             check=True).stdout if program else ""
    if int((re.findall(r" v=(\d+)", version) or ["0"])[0]) < 7:
        print("1..0 # SKIP there is no redis-server of version 7 or later")
        sys.exit(SKIPPED)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Redis:
    """arguments: further ones of the program; has_port: whether it listens without TLS."""

    def __init__(self, *arguments, has_port=True):
        self.folder = tempfile.mkdtemp(prefix="kv-redis-")
        self.port = free_port()
        self.socket = os.path.join(self.folder, "redis.sock")
        self.arguments = ["--port", str(self.port if has_port else 0), "--unixsocket", self.socket,
                          "--dir", self.folder, "--save", "", "--appendonly", "no",
                          "--logfile", os.path.join(self.folder, "log"), *arguments]
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(["redis-server", *self.arguments])
        wait_for(self.is_there, "redis-server does not start")

    def is_there(self):
        assert self.process.poll() is None, "redis-server has ended: " + self.read_log()
        try:
            return self.ask("PING").startswith("+PONG")
        except OSError:
            return False

    def read_log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
            return log.read()[-2000:]

    def ask(self, *words):
        """Sends a command of one line. Returns: how its answer begins."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(PATIENCE_S)
            peer.connect(self.socket)
            peer.sendall((" ".join(words) + "\r\n").encode())
            return peer.recv(65536).decode(errors="replace")

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def end(self):
        self.kill()
        shutil.rmtree(self.folder)


class Cluster:
    """A Redis Cluster: masters with a replica each."""

    def __init__(self, n_masters=3, n_replicas=1, node_timeout_ms=1500):
        self.nodes = [Redis("--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout_ms),
                            "--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0",
                            "--cluster-port", str(free_port()))
                      for _ in range(n_masters * (1 + n_replicas))]
        subprocess.run(["redis-cli", "--cluster", "create",
                        *(f"127.0.0.1:{node.port}" for node in self.nodes),
                        "--cluster-replicas", str(n_replicas), "--cluster-yes"],
                       check=True, capture_output=True)
        for node in self.nodes:
            wait_for(lambda node=node: "cluster_state:ok" in node.ask("CLUSTER INFO"),
                     "the cluster does not form")
        for master in self.masters():
            wait_for(lambda master=master: master.ask("INFO replication").count("state=online")
                     == n_replicas, "a replica does not connect")

    def masters(self):
        return [node for node in self.nodes
                if node.process.poll() is None and "role:master" in node.ask("INFO replication")]

    def master_of(self, key):
        """The node that has the key."""
        for node in self.masters():
            if not node.ask("GET", key).startswith("-"):
                return node
        raise AssertionError("nobody has the key " + key)

    def end(self):
        for node in self.nodes:
            node.end()

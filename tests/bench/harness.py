"""What the benchmarks share: servers that are started and stopped, loads, ratios and their table."""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/support/python"))
import processes  # pylint: disable=wrong-import-position
from ports import reserve_ports  # pylint: disable=wrong-import-position

BUILD = os.environ.get("KV_BENCH_BUILD", os.path.join(ROOT, "build", "bench-build"))
OUTPUT = os.environ.get("KV_BENCH_BUILD", os.path.join(ROOT, "build"))
SERVER_CORE, LOAD_CORE = "0", "1"
SERVERS = ("kvserver", "bare", "sink-http", "sink-ws", "redis", "webdis", "rocksdb", "lmdb", "redis-aof",
           "hooks", "memory", "memory-before", "hooks-before", "rocksdb-before", "tls", "nginx",
           "in-clear", "redis-store", "one", "two", "three", "four", "five", "six", "seven", "eight",
           "node-1", "node-2", "node-3", "bus-1", "bus-2", "bus-3")
PORTS = dict(zip(SERVERS, reserve_ports(len(SERVERS))))


# ---- servers ----


def kvserver_yaml(port, threads=1, storage="module: memory", more="", build=BUILD):
    return (f"listen: [{{port: {port}}}]\nthreads: {threads}\nmodules: {build}/modules\n"
            f"storage: {{{storage}}}\nlog: {{level: error}}\n{more}")


class Servers:
    """Everything that is started, and stopped again however the run ends."""

    def __init__(self):
        # On the disk that the build is on: where /tmp is memory, it would not do.
        self.folder = tempfile.TemporaryDirectory(prefix="bench-data-", dir=OUTPUT)
        self.running = {}

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, name, command, port, cores=SERVER_CORE):
        self.running[name] = processes.start(
            ["taskset", "-c", cores] + command, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd=self.folder.name)
        wait_for_port(name, port)
        return self.running[name]

    def start_kvserver(self, threads=1, cores=SERVER_CORE, name="kvserver",
                       storage="module: memory", more="", build=None):
        build = build or BUILD
        path = self.write(f"{name}.yaml", kvserver_yaml(PORTS[name], threads, storage, more, build))
        process = self.start(name, [f"{build}/kvserver", "-c", path], PORTS[name], cores)
        wait_until_ready(PORTS[name])
        return process

    def start_peers(self):
        webdis = {"redis_host": "127.0.0.1", "redis_port": PORTS["redis"], "threads": 1,
                  "http_host": "127.0.0.1", "http_port": PORTS["webdis"], "daemonize": False,
                  "websockets": False, "verbosity": 0, "logfile": "/dev/null",
                  "acl": [{"enabled": ["GET", "SET"]}]}
        self.start("redis", ["redis-server", "--port", str(PORTS["redis"]), "--save", "",
                             "--appendonly", "no"], PORTS["redis"])
        self.start("webdis", ["webdis", self.write("webdis.json", json.dumps(webdis))],
                   PORTS["webdis"])
        self.start("bare", [f"{BUILD}/bench/bare", str(PORTS["bare"])], PORTS["bare"])
        for kind in ("http", "ws"):
            port = PORTS[f"sink-{kind}"]
            self.start(f"sink-{kind}", [f"{BUILD}/bench/sink", str(port), kind], port)

    def stop(self, name, how=signal.SIGTERM):
        process = self.running.pop(name)
        process.send_signal(how)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()

    def stop_all(self):
        for name in list(self.running):
            self.stop(name)
        self.folder.cleanup()


def wait_for_port(name, port):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.005)
    sys.exit(f"{name} does not listen on port {port}")


def says_200(port, path):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            return sock.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def wait_until_ready(port):
    until = time.monotonic() + 60
    while not says_200(port, "/readyz"):
        if time.monotonic() > until:
            sys.exit(f"the server on port {port} does not get ready")
        time.sleep(0.0005)


def memory_of(process, field):
    # taskset has become the server itself
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


# ---- loads: each is a function without arguments that returns a rate ----


def processor_seconds(process):
    """The processor time of all threads of a server, which depends less on other load than elapsed time does."""
    total = 0
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        with open(f"/proc/{process.pid}/task/{thread}/schedstat", encoding="ascii") as times:
            total += int(times.read().split()[0])
    return total / 1e9


def run_load(kind, port, **settings):
    command = ["taskset", "-c", LOAD_CORE, f"{BUILD}/bench/kv_load", kind, str(port)]
    command += [f"{name}={value}" for name, value in settings.items()]
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    if result.get("failed", 0) != 0:
        sys.exit(f"requests failed: {result}")
    return result


def run_expiry(port, **settings):
    """Each expiry must be told, and once."""
    result = run_load("expiry", port, **settings)
    if result["missing"] != 0 or result["twice"] != 0:
        sys.exit(f"expiries are missing, or are told twice: {result}")
    return result


def load(kind, server, **settings):
    return lambda options: run_load(kind, PORTS[server], seconds=options.seconds,
                                    keys=options.keys, **settings)["rate"]


def redis_benchmark(test, depth, rate_guess, server="redis"):
    def run(options):
        n = int(rate_guess * options.seconds)
        command = ["taskset", "-c", LOAD_CORE, "redis-benchmark", "-p", str(PORTS[server]), "-t",
                   test, "-r", str(options.keys), "-d", "32", "-n", str(n), "-P", str(depth), "-c", "64",
                   "--csv"]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in lines.splitlines():
            cells = [cell.strip('"') for cell in line.split(",")]
            if cells[0].lower() == test:
                return float(cells[1])
        sys.exit(f"redis-benchmark said: {lines}")
    return run


# ---- ratios and figures ----


def is_chosen(name, options):
    return options.only is None or any(part in name for part in options.only)


class Ratio:
    """KvServer's rate over a peer's."""

    def __init__(self, name, mine, peer_name, peer, mark):
        self.name, self.mine, self.peer_name, self.peer, self.mark = \
            name, mine, peer_name, peer, mark
        self.rounds = []

    def run_round(self, options):
        mine = self.mine(options)
        peer = self.peer(options)
        if peer == 0:
            raise RuntimeError(f"{self.name}: {self.peer_name} answered nothing in a round")
        self.rounds.append((mine, peer))

    def result(self):
        ratios = [mine / peer for mine, peer in self.rounds]
        return {"name": self.name, "peer": self.peer_name, "mark": self.mark,
                "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
                "rate": statistics.median(mine for mine, _ in self.rounds),
                "peer_rate": statistics.median(peer for _, peer in self.rounds)}


def show(row):
    mark = row.get("mark")
    verdict = "" if mark is None else ("ok" if row["ratio"] >= mark else "BELOW")
    print(f"{row['name']:<16} {row['rate']:>12,.0f}/s  {row['peer']:<22} {row['peer_rate']:>12,.0f}/s"
          f"  {row['ratio']:>6.2f}  ({row['least']:.2f} - {row['most']:.2f})"
          f"  {'' if mark is None else '>= ' + str(mark):<7} {verdict}", flush=True)


def show_figure(figures, name, value, unit, at_most):
    verdict = "" if at_most is None else ("ok" if value <= at_most else "ABOVE")
    limit = "" if at_most is None else f"<= {at_most}"
    print(f"{name:<44} {value:>10.2f} {unit:<10} {limit:<8} {verdict}", flush=True)
    figures.append({"name": name, "value": value, "unit": unit, "at_most": at_most})

"""Runs KvServer and its peers in alternating rounds on one machine and compares them.

The server has one core, the load the other. A figure is the median of the rounds' ratios: both sides
of a ratio are measured one right after the other, so that a machine whose speed drifts does not
decide. Prints a table, and writes build/bench-results.json.
"""

import argparse
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build", "bench-build")
RESULTS = os.path.join(ROOT, "build", "bench-results.json")
SERVER_CORE, LOAD_CORE = "0", "1"
KEYS = 1000000
PORTS = {"kvserver": 3701, "bare": 3702, "sink-http": 3703, "sink-ws": 3704, "redis": 3705,
         "webdis": 3706}


# ---- servers ----


def kvserver_yaml(port, threads=1):
    return (f"listen: [{{port: {port}}}]\nthreads: {threads}\nmodules: {BUILD}/modules\n"
            "storage: {module: memory}\nlog: {level: error}\n")


class Servers:
    """Everything that is started, and stopped again however the run ends."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="kvserver-bench-")
        self.running = {}

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, name, command, port, cores=SERVER_CORE):
        self.running[name] = subprocess.Popen(
            ["taskset", "-c", cores] + command, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd=self.folder.name)
        wait_for_port(name, port)
        return self.running[name]

    def start_kvserver(self, threads=1, cores=SERVER_CORE):
        path = self.write("kvserver.yaml", kvserver_yaml(PORTS["kvserver"], threads))
        return self.start("kvserver", [f"{BUILD}/kvserver", "-c", path], PORTS["kvserver"], cores)

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

    def stop(self, name):
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()

    def stop_all(self):
        for name in list(self.running):
            self.stop(name)
        self.folder.cleanup()


def wait_for_port(name, port):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.005)
    sys.exit(f"{name} does not listen on port {port}")


# ---- loads: each is a function without arguments that returns a rate ----


def run_load(kind, port, **settings):
    command = ["taskset", "-c", LOAD_CORE, f"{BUILD}/bench/kv_load", kind, str(port)]
    command += [f"{name}={value}" for name, value in settings.items()]
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    if result.get("failed", 0) != 0:
        sys.exit(f"requests failed: {result}")
    return result


def load(kind, server, **settings):
    return lambda options: run_load(kind, PORTS[server], seconds=options.seconds, **settings)["rate"]


def redis_benchmark(test, depth, rate_guess):
    def run(options):
        n = int(rate_guess * options.seconds)
        command = ["taskset", "-c", LOAD_CORE, "redis-benchmark", "-p", str(PORTS["redis"]), "-t",
                   test, "-r", str(KEYS), "-d", "32", "-n", str(n), "-P", str(depth), "-c", "64",
                   "--csv"]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in lines.splitlines():
            cells = [cell.strip('"') for cell in line.split(",")]
            if cells[0].lower() == test:
                return float(cells[1])
        sys.exit(f"redis-benchmark said: {lines}")
    return run


# ---- marks ----


class Ratio:
    """KvServer's rate over a peer's."""

    def __init__(self, name, mine, peer_name, peer, mark):
        self.name, self.mine, self.peer_name, self.peer, self.mark = \
            name, mine, peer_name, peer, mark
        self.rounds = []

    def run_round(self, options):
        mine = self.mine(options)
        peer = self.peer(options)
        self.rounds.append((mine, peer))

    def result(self):
        ratios = [mine / peer for mine, peer in self.rounds]
        return {"name": self.name, "peer": self.peer_name, "mark": self.mark,
                "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
                "rate": statistics.median(mine for mine, _ in self.rounds),
                "peer_rate": statistics.median(peer for _, peer in self.rounds)}


def ratios():
    return [
        Ratio("http-get", load("http-get", "kvserver"), "bare libh2o", load("http-get", "bare"), 0.9),
        Ratio("http-get", load("http-get", "kvserver"), "webdis", load("webdis-get", "webdis"), 3.0),
        Ratio("http-get x16", load("http-get", "kvserver", depth=16), "bare libh2o x16",
              load("http-get", "bare", depth=16), 5.0),
        Ratio("http-post", load("http-post", "kvserver"), "bare libh2o", load("http-post", "bare"),
              0.9),
        Ratio("ws-get x16", load("ws-get", "kvserver", depth=16), "redis get x16",
              redis_benchmark("get", 16, 600000), 1.2),
        Ratio("ws-set x16", load("ws-set", "kvserver", depth=16), "redis set x16",
              redis_benchmark("set", 16, 500000), 1.0),
        Ratio("ws-get x1", load("ws-get", "kvserver"), "redis get", redis_benchmark("get", 1, 80000),
              1.0),
        Ratio("fan-out 500", load("fan-out", "kvserver", connections=500, depth=16),
              "redis pub/sub", load("fan-out-redis", "redis", connections=500, depth=16), 1.5),
        Ratio("client, http", load("http-get", "sink-http"), "kvserver http-get",
              load("http-get", "kvserver"), None),
        Ratio("client, http x16", load("http-get", "sink-http", depth=16), "kvserver http-get x16",
              load("http-get", "kvserver", depth=16), None),
        Ratio("client, ws x16", load("ws-get", "sink-ws", depth=16), "kvserver ws-get x16",
              load("ws-get", "kvserver", depth=16), None),
    ]


def peak_memory_of_a_large_value(servers, options):
    """A 256 MiB value, sent and read back: the server's peak memory beyond an idle one's."""
    size = (256 << 20) - 64
    body = servers.write("large.json", '{"value":"' + "x" * size + '"}')
    process = servers.start_kvserver()
    idle = memory_of(process, "VmRSS")
    url = f"http://127.0.0.1:{PORTS['kvserver']}/storage/large"
    run_curl(["-X", "POST", "--data-binary", f"@{body}", "-H", "Expect:", url])
    run_curl([url])
    peak = memory_of(process, "VmHWM")
    servers.stop("kvserver")
    return (peak - idle) / size


def run_curl(arguments):
    subprocess.run(["curl", "-sSf", "-o", os.devnull] + arguments, check=True)


def memory_of(process, field):
    # taskset has become the server itself
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def start_up_ms(servers, options):
    """From the start of the program to its first answer."""
    path = servers.write("kvserver.yaml", kvserver_yaml(PORTS["kvserver"]))
    times = []
    for _ in range(options.rounds):
        begin = time.monotonic()
        process = subprocess.Popen([f"{BUILD}/kvserver", "-c", path], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        while not is_healthy():
            time.sleep(0.0005)
        times.append((time.monotonic() - begin) * 1e3)
        process.terminate()
        process.wait()
    return statistics.median(times)


def is_healthy():
    try:
        with socket.create_connection(("127.0.0.1", PORTS["kvserver"]), timeout=1) as sock:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            return sock.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def expiry_lateness(servers, options):
    result = run_load("expiry", PORTS["kvserver"], background=KEYS, rate=10000,
                      seconds=max(1, int(options.seconds)))
    return result["p50_us"] / 1e3, result["p99_us"] / 1e3, result["p999_us"] / 1e3


def two_threads(servers, options):
    """Two threads against one, each with all cores but little load, so that there is room."""
    rates = []
    for threads in (1, 2):
        servers.start_kvserver(threads, "0,1")
        run_load("fill", PORTS["kvserver"], depth=64, keys=100000)
        rates.append(run_load("ws-get", PORTS["kvserver"], depth=64, connections=32, keys=100000,
                              seconds=options.seconds)["rate"])
        servers.stop("kvserver")
    return rates[1] / rates[0]


# ---- the run ----


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


def measure_ratios(servers, options):
    chosen = [one for one in ratios() if options.only is None or options.only in one.name]
    servers.start_kvserver()
    servers.start_peers()
    run_load("fill", PORTS["kvserver"], depth=64, keys=KEYS)
    redis_benchmark("set", 64, 2 * KEYS)(argparse.Namespace(seconds=1))
    for _ in range(options.rounds):
        for one in chosen:
            one.run_round(options)
    rows = [one.result() for one in chosen]
    for row in rows:
        show(row)
    return rows


def measure_figures(servers, options):
    figures = []
    p50, p99, p999 = expiry_lateness(servers, options)
    for name in list(servers.running):
        servers.stop(name)
    show_figure(figures, "expiry told late, p50 (10,000/s, 1 M others)", p50, "ms", None)
    show_figure(figures, "expiry told late, p99", p99, "ms", 5)
    show_figure(figures, "expiry told late, p99.9", p999, "ms", 20)
    show_figure(figures, "peak memory of a 256 MiB value, over its size",
                peak_memory_of_a_large_value(servers, options), "x", 2.5)
    show_figure(figures, "start until /healthz answers", start_up_ms(servers, options), "ms", 50)
    show_figure(figures, "two threads over one", two_threads(servers, options), "x", None)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--only", help="only the comparisons whose name has this in it")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    servers = Servers()
    try:
        results = {"rounds": options.rounds, "seconds": options.seconds,
                   "ratios": measure_ratios(servers, options)}
        if options.only is None:
            results["figures"] = measure_figures(servers, options)
    finally:
        servers.stop_all()
    with open(RESULTS, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    print(f"written to {os.path.relpath(RESULTS, os.getcwd())}")


if __name__ == "__main__":
    main()

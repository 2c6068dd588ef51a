"""The marks of the durable stores: beside Redis with an append-only file that is synced always, and
beside the memory store, all on the same disk. The event loop has one core; the store's own threads
share the other with the load, as far as the system does not say otherwise."""

import os
import signal
import subprocess
import threading
import time

from harness import (LOAD_CORE, PORTS, Ratio, is_chosen, load, memory_of, processor_seconds,
                     redis_benchmark, run_load, show, show_figure)

HELPERS = ("store-", "rocksdb:")
GIB = 1 << 30


def start_store(servers, name, module=None, build=None, more="", **options):
    """A server on a store that lies in the benchmark's folder; begins anew where it is not there.
    The module is called as the server unless another is given."""
    module = module or name
    settings = "".join(f", {key}: {value}" for key, value in options.items())
    folder = os.path.join(servers.folder.name, name)
    process = servers.start_kvserver(name=name, build=build, storage=f"module: {module}, {module}: "
                                     f"{{path: {folder}{settings}}}", more=more)
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        try:
            with open(f"/proc/{process.pid}/task/{thread}/comm", encoding="ascii") as comm:
                if comm.read().startswith(HELPERS):
                    os.sched_setaffinity(int(thread), {int(LOAD_CORE)})
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended meanwhile: some only help to open the store
    return process


def start_redis(servers):
    folder = os.path.join(servers.folder.name, "redis-aof")
    os.makedirs(folder)
    servers.start("redis-aof", ["redis-server", "--port", str(PORTS["redis-aof"]), "--save", "",
                                "--dir", folder, "--appendonly", "yes", "--appendfsync", "always"],
                  PORTS["redis-aof"])


def ratios():
    redis_set = redis_benchmark("set", 1, 5000, "redis-aof")
    redis_set_16 = redis_benchmark("set", 16, 50000, "redis-aof")
    return [
        Ratio("rocksdb http-post", load("http-post", "rocksdb"), "redis aof set", redis_set, 1.0),
        Ratio("rocksdb ws-set x16", load("ws-set", "rocksdb", depth=16), "redis aof set x16",
              redis_set_16, 0.3),
        Ratio("rocksdb http-get", load("http-get", "rocksdb"), "memory http-get",
              load("http-get", "kvserver"), 0.8),
        Ratio("lmdb http-post", load("http-post", "lmdb"), "redis aof set", redis_set, None),
        Ratio("lmdb ws-set x16", load("ws-set", "lmdb", depth=16), "redis aof set x16",
              redis_set_16, None),
        Ratio("lmdb http-get", load("http-get", "lmdb"), "memory http-get",
              load("http-get", "kvserver"), 0.9),
    ]


def measure_ratios(servers, options):
    chosen = [one for one in ratios() if is_chosen(one.name, options)]
    servers.start_kvserver()
    start_redis(servers)
    for name in ("rocksdb", "lmdb"):
        start_store(servers, name)
    for name in ("kvserver", "rocksdb", "lmdb"):
        run_load("fill", PORTS[name], depth=64, keys=options.keys)
    for _ in range(options.rounds):
        for one in chosen:
            one.run_round(options)
    rows = [one.result() for one in chosen]
    for row in rows:
        show(row)
    for name in list(servers.running):
        servers.stop(name)
    return rows


def forget(servers, name):
    subprocess.run(["rm", "-rf", os.path.join(servers.folder.name, name)], check=True)


def bytes_on_disk(servers, name):
    """Of the database; the journal's segments are as many as before, to be written over again."""
    total = 0
    for folder, _, files in os.walk(os.path.join(servers.folder.name, name, "db")):
        for file in files:
            try:
                status = os.stat(os.path.join(folder, file))
                total += min(status.st_size, status.st_blocks * 512)
            except FileNotFoundError:
                pass  # compacted away meanwhile
    return total


def start_again(servers, name, more=""):
    """Returns: the server, and how long it took to be ready, in seconds."""
    begin = time.monotonic()
    process = start_store(servers, name, more=more)
    return process, time.monotonic() - begin


def measure_many_keys(servers, options, figures):
    """Many keys of 16 B with values of 100 B: starting again, the memory that serving takes, and lists of ten
    keys that stand together."""
    for name in ("rocksdb", "lmdb"):
        forget(servers, name)
        start_store(servers, name, durability="os")
        run_load("fill", PORTS[name], depth=64, keys=options.many_keys, value=100)
        servers.stop(name)
        process, after_stop = start_again(servers, name)
        run_load("ws-set", PORTS[name], depth=16, keys=options.many_keys, value=100,
                 seconds=options.seconds)
        run_load("http-get", PORTS[name], keys=options.many_keys, seconds=2 * options.seconds)
        memory = memory_of(process, "VmHWM")
        begin = processor_seconds(process)
        lists = run_load("http-list", PORTS[name], connections=1, keys=options.many_keys,
                         seconds=2 * options.seconds)
        each = (processor_seconds(process) - begin) / lists["answers"]
        if name == "lmdb":  # the file's pages are the system's to keep or to drop
            memory -= memory_of(process, "RssFile")
        servers.stop(name, signal.SIGKILL)
        process, after_crash = start_again(servers, name)
        servers.stop(name)
        forget(servers, name)
        n = f"{options.many_keys:,} keys"
        show_figure(figures, f"{name}, {n}: ready after a stop", after_stop, "s", 5)
        show_figure(figures, f"{name}, {n}: ready after a crash", after_crash, "s", 5)
        show_figure(figures, f"{name}, {n}: a list of 10 of them, p50", lists["p50_us"] / 1e3, "ms", None)
        show_figure(figures, f"{name}, {n}: a list of 10 of them, p99", lists["p99_us"] / 1e3, "ms", 2)
        show_figure(figures, f"{name}, {n}: the same, processor time", each * 1e3, "ms", None)
        show_figure(figures, f"{name}, {n}: memory", memory / GIB, "GiB", 1.5)


class Reader(threading.Thread):
    """Reads while keys expire."""

    def __init__(self, name, seconds, keys):
        super().__init__()
        self.name_of_store, self.seconds, self.keys = name, seconds, keys
        self.p99_ms = None

    def run(self):
        result = run_load("http-get", PORTS[self.name_of_store], connections=16, keys=self.keys,
                          seconds=self.seconds)
        self.p99_ms = result["p99_us"] / 1e3


def measure_expiry(servers, options, figures):
    """Keys that were set in a few seconds expire in as many, while others are read."""
    for name in ("rocksdb", "lmdb"):
        forget(servers, name)
        start_store(servers, name)
        ttl_ms = 2000 if options.smoke else 20000
        filled = run_load("fill", PORTS[name], depth=64, keys=options.expiring_keys, value=100,
                          ttl=ttl_ms)
        first_due = time.monotonic() - filled["seconds"] + ttl_ms / 1e3
        full = bytes_on_disk(servers, name)
        time.sleep(max(0, first_due - time.monotonic()))
        reader = Reader(name, max(1, filled["seconds"]), options.expiring_keys)
        reader.start()
        reader.join()
        show_figure(figures, f"{name}: {options.expiring_keys:,} keys expire within",
                    filled["seconds"], "s", 10)
        show_figure(figures, f"{name}: p99 of a reader meanwhile", reader.p99_ms, "ms", 20)
        if name == "rocksdb":
            show_figure(figures, f"{name}: space left of what they took",
                        space_left(servers, name, full, options), "x", None if options.smoke else 0.2)
        servers.stop(name)
        forget(servers, name)


def space_left(servers, name, full, options):
    until = time.monotonic() + (1 if options.smoke else 60)
    while bytes_on_disk(servers, name) > full / 5 and time.monotonic() < until:
        time.sleep(0.5)
    return bytes_on_disk(servers, name) / full


def measure(servers, options, results):
    results["ratios"] += measure_ratios(servers, options)
    if options.only is None:
        measure_many_keys(servers, options, results["figures"])
        measure_expiry(servers, options, results["figures"])

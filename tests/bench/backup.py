"""A backup of many keys while others write at a steady pace: what it costs the writers, and whether it has
exactly the state of its revision, as a second backup without writers and a restored store show."""

import json
import os
import statistics
import subprocess
import time

from durable import forget, start_store
from harness import BUILD, LOAD_CORE, PORTS, processes, run_load, show_figure

REVISION = b',"revision":'
TOUCHED = b',"touched":true'


def take(servers, name, path):
    """Returns: the process that takes the backup."""
    return processes.start(["taskset", "-c", LOAD_CORE, "nice", "-n", "19", f"{BUILD}/kvctl", "backup", "-q",
                            "--url", f"http://127.0.0.1:{PORTS[name]}", path], cwd=servers.folder.name)


def lines(path):
    """The states: what a line says but for its revision, and that. The load deletes nothing and sets no TTL, so a
    touch, which a write of the same value is, changes nothing."""
    with open(path, "rb") as file:
        for line in file:
            if not line.startswith(b'{"backup"') and TOUCHED not in line:
                state, _, rest = line.rpartition(REVISION)
                yield state, int(rest.rstrip(b"}\n"))


def revision_of(path):
    with open(path, "rb") as file:
        file.seek(-300, os.SEEK_END)
        return json.loads(file.read().splitlines()[-1])["backup"]["revision"]


def key_of(state):
    return state[:state.index(b'",')]


def states(path, since):
    """The state of each key, once: of those that were written after `since` there may be several."""
    written = {}
    for state, revision in lines(path):
        if revision > since:
            written[key_of(state)] = (state, revision)
    for state, revision in lines(path):
        if revision <= since and key_of(state) not in written:
            yield state, revision
    yield from written.values()


def expect_exact(path, since, later):
    """What nobody has written between the two backups is the same in both, and all the rest is older in the
    first one than its revision."""
    revision = revision_of(path)
    written_since, after = set(), 0
    for state, at in lines(later):
        if at > revision:
            written_since.add(key_of(state))
        else:
            after += hash((state, at))
    before, n = 0, 0
    for state, at in states(path, since):
        n += 1
        assert at <= revision, (state, at, revision)
        if key_of(state) not in written_since:
            before += hash((state, at))
    assert before == after, "the backup is not the state of its revision"
    return n


def expect_restored(servers, name, path, since):
    """A new store of the backup has its keys and values."""
    servers.stop(name)
    forget(servers, name)
    begin = time.monotonic()
    subprocess.run([f"{BUILD}/kvserver", "-c", os.path.join(servers.folder.name, f"{name}.yaml"),
                    "--restore", path], check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - begin
    start_store(servers, name)
    again = os.path.join(servers.folder.name, "restored.jsonl")
    assert take(servers, name, again).wait() == 0
    assert sum(hash(state) for state, _ in states(path, since)) == sum(hash(state) for state, _ in lines(again)), \
        "the restored store has not what the backup has"
    os.remove(again)
    return seconds


def write_beside(backup, pace):
    """Returns: the p99 of writers in milliseconds, by pieces of time, until the backup has been taken."""
    p99 = []
    while backup.poll() is None:
        p99.append(pace())
    assert backup.returncode == 0, "the backup failed"
    return p99


def measure_store(servers, name, options, figures):
    if name == "memory":
        servers.start_kvserver(name=name)
    else:
        forget(servers, name)
        start_store(servers, name, durability="os")
    run_load("fill", PORTS[name], depth=64, keys=options.many_keys, value=100)
    paths = [os.path.join(servers.folder.name, f"{n}.jsonl") for n in ("first", "second", "third")]

    def pace():
        return run_load("http-post", PORTS[name], depth=64, connections=64, keys=options.many_keys, value=100,
                        pace=options.pace, seconds=options.seconds)["p99_us"] / 1e3
    alone = statistics.median(pace() for _ in range(5))
    assert take(servers, name, paths[0]).wait() == 0
    begin = time.monotonic()
    beside = statistics.median(write_beside(take(servers, name, paths[1]), pace))
    seconds = time.monotonic() - begin
    assert take(servers, name, paths[2]).wait() == 0
    since = revision_of(paths[0])
    n = expect_exact(paths[1], since, paths[2])
    what = f"{name}, a backup of {n:,} keys"
    show_figure(figures, what, seconds, "s", None)
    show_figure(figures, f"{what}: p99 of writers without it", alone, "ms", None)
    show_figure(figures, f"{what}: p99 of writers", beside, "ms", None)
    show_figure(figures, f"{what}: p99 over p99 without it", beside / alone, "x", None if options.smoke else 3)
    if name != "memory":
        show_figure(figures, f"{what}: restoring it", expect_restored(servers, name, paths[1], since), "s", None)
    servers.stop(name)
    for path in paths:
        os.remove(path)
    forget(servers, name)


def measure(servers, options, results):
    for name in ("memory", "rocksdb", "lmdb"):
        if options.only is None or name in options.only:
            measure_store(servers, name, options, results["figures"])

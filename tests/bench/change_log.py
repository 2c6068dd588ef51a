"""Reading the change log of the durable stores back from the disk: a subscriber that asks for all of it, for
a prefix that nearly no key has, and for one that all have (`GET /events`)."""

import os
import re
import socket
import time

from durable import forget, start_again, start_store
from harness import PORTS, processor_seconds, run_load, show_figure

VALUE = 1000
ROW = VALUE + 60  # about, in the journal


def read_events(port, query, until):
    """Returns: the bytes that came up to the event, what came last, and the seconds it took."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(f"GET /events?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        total, tail = 0, b""
        while until not in tail:
            piece = sock.recv(1 << 20)
            if not piece:
                raise EOFError(tail)
            total += len(piece)
            tail = tail[-200:] + piece
    return total, tail, time.monotonic() - begin


def mark_now(port):
    _, tail, _ = read_events(port, "prefix=none&initial=true", b"event: synced")
    epoch, revision = re.search(rb"id: ?(\S+)-(\d+)", tail).groups()
    return f"since={revision.decode()}&epoch={epoch.decode()}"


def forget_pages(folder):
    """Has the system drop what it has in memory of the files, so that they come from the disk."""
    os.sync()
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure_store(servers, name, options, figures):
    more = f"change_log: {{size: {2 * options.log_bytes}B}}\n"  # segments are not full where records are large
    forget(servers, name)
    start_store(servers, name, more=more, durability="os")
    mark = mark_now(PORTS[name])
    run_load("fill", PORTS[name], depth=64, keys=options.log_bytes // ROW, value=VALUE)
    servers.stop(name)
    for what, prefix in (("nearly none", "key:000000000007"), ("all", "key:")):
        process, _ = start_again(servers, name, more=more)
        forget_pages(os.path.join(servers.folder.name, name, "journal"))
        begin = processor_seconds(process)
        total, tail, seconds = read_events(PORTS[name], f"prefix={prefix}&{mark}", b"event: synced")
        processor = processor_seconds(process) - begin
        assert b"event: reset" not in tail, (mark, tail[:300], seconds)
        servers.stop(name)
        log = f"{name}: {options.log_bytes >> 20} MiB of log, {what} of it wanted"
        show_figure(figures, f"{log} ({total >> 20} MiB)", seconds, "s", 2)
        show_figure(figures, f"{log}, the server's processor time", processor, "s", None)
    forget(servers, name)


def measure(servers, options, figures):
    for name in ("rocksdb", "lmdb"):
        measure_store(servers, name, options, figures)

"""What permessage-deflate costs and saves: fan-out with and without it, by the length of the messages, and
the memory of idle connections."""

import os
import socket
import statistics

from harness import PORTS, is_chosen, run_load, show_figure
from tls import UPGRADE, private_bytes

OFFER = UPGRADE[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
SIZES = [200, 600, 2000, 8000, 30000, 60000]
DEFLATE = "websocket: {deflate: true}\n"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_us(process):
    """Of all threads of the server, workers included."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / TICKS


def subscribers(size, options):
    """Fewer of long messages, which would keep the load busy."""
    return 10 if options.smoke or size > 50000 else 100


def fan_out(process, size, deflate, options):
    """Bytes on the wire, and the server's time in microseconds, for each delivery."""
    before = cpu_us(process)
    result = run_load("fan-out", PORTS["kvserver"], seconds=options.seconds, value=size, depth=4,
                      connections=subscribers(size, options), deflate=deflate)
    # The load warms up for a fifth of its time, which the server's time contains.
    return result["bytes"], (cpu_us(process) - before) / (result["answers"] * 1.2)


def idle_bytes(servers, hello, n):
    """Of one of n WebSockets that are idle, on a server of their own."""
    process = servers.start_kvserver(more=DEFLATE)
    idle = []
    for i in range(n + n // 4):
        if i == n // 4:
            before = private_bytes(process)
        one = socket.create_connection(("127.0.0.1", PORTS["kvserver"]))
        one.sendall(hello)
        assert b" 101 " in one.recv(4096)
        idle.append(one)
    after = private_bytes(process)
    for one in idle:
        one.close()
    servers.stop("kvserver")
    return (after - before) / n


def measure_fan_out(servers, options, figures):
    process = servers.start_kvserver(more=DEFLATE)
    for size in SIZES:
        name = f"fan-out of {size} bytes to {subscribers(size, options)}"
        if not is_chosen(name, options):
            continue
        rounds = {deflate: [fan_out(process, size, deflate, options) for _ in range(options.rounds)]
                  for deflate in (0, 1)}
        for deflate, what in ((0, "plain"), (1, "compressed")):
            for column, unit in ((0, "bytes"), (1, "us")):
                show_figure(figures, f"{name}, {what}",
                            statistics.median(one[column] for one in rounds[deflate]), unit, None)
    servers.stop("kvserver")


def measure(servers, options, results):
    measure_fan_out(servers, options, results["figures"])
    if options.only is None:
        n = 100 if options.smoke else 4000
        for name, hello in (("idle WebSocket", UPGRADE), ("idle WebSocket, deflate", OFFER)):
            show_figure(results["figures"], name, idle_bytes(servers, hello, n) / 1024, "KiB", None)

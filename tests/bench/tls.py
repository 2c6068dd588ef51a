"""What TLS costs: kept connections beside nginx's, and the memory of idle ones."""

import shutil
import socket
import ssl
import subprocess
import time

from harness import (BUILD, PORTS, Ratio, is_chosen, load, run_load, show, show_figure, wait_for_port,
                     wait_until_ready)

BODY = '{"value":"abcdefghijklmnopqrstuvwxyz0123"}'

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 100000000;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/tls.pem; ssl_certificate_key {folder}/tls.key;
        ssl_protocols TLSv1.3;
        location / {{ default_type application/json; return 200 '{body}'; }}
    }}
}}
"""

UPGRADE = (b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", f"{folder}/tls.key", "-out", f"{folder}/tls.pem"],
                   check=True, stderr=subprocess.DEVNULL)


def start_kvserver(servers):
    yaml = (f"listen:\n- {{port: {PORTS['in-clear']}}}\n- port: {PORTS['tls']}\n"
            f"  tls: {{cert: tls.pem, key: tls.key}}\nthreads: 1\nmodules: {BUILD}/modules\n"
            "storage: {module: memory}\nlog: {level: error}\n")
    process = servers.start("tls", [f"{BUILD}/kvserver", "-c", servers.write("tls.yaml", yaml)],
                            PORTS["in-clear"])
    wait_until_ready(PORTS["in-clear"])
    return process


def start_servers(servers):
    folder = servers.folder.name
    make_certificate(folder)
    start_kvserver(servers)
    if shutil.which("nginx") is not None:
        config = NGINX.format(folder=folder, port=PORTS["nginx"], body=BODY)
        servers.start("nginx", ["nginx", "-c", servers.write("nginx.conf", config), "-p", folder],
                      PORTS["nginx"])
        wait_for_port("nginx", PORTS["nginx"])


def private_bytes(process):
    with open(f"/proc/{process.pid}/smaps_rollup", encoding="ascii") as rollup:
        for line in rollup:
            if line.startswith("Private_Dirty:"):
                return int(line.split()[1]) * 1024
    return 0


def open_idle(port, n, context):
    idle = []
    for _ in range(n):
        one = socket.create_connection(("127.0.0.1", port))
        if context is not None:
            one = context.wrap_socket(one)
        one.sendall(UPGRADE)
        assert b" 101 " in one.recv(4096)
        idle.append(one)
    return idle


def idle_bytes(servers, port, n, context):
    """Of one of n WebSockets that are idle, of a new server: earlier connections leave gaps in the
    heap, which others fill without the process growing."""
    servers.stop("tls")
    process = start_kvserver(servers)
    warm = open_idle(port, n // 10, context)
    before = private_bytes(process)
    idle = open_idle(port, n, context)
    time.sleep(0.2)
    after = private_bytes(process)
    for one in warm + idle:
        one.close()
    return (after - before) / n


def ratios(servers):
    pairs = [("http-get, TLS 1.3", {}), ("http-get x16, TLS 1.3", {"depth": 16})]
    if "nginx" not in servers.running:
        return []
    return [Ratio(name, load("http-get", "tls", tls=1, **more), "nginx, TLS 1.3",
                  load("http-get", "nginx", tls=1, **more), 0.8) for name, more in pairs] + [
        Ratio("http-get, TLS 1.3", load("http-get", "tls", tls=1), "kvserver in clear",
              load("http-get", "in-clear"), None),
        Ratio("ws-get x16, TLS 1.3", load("ws-get", "tls", tls=1, depth=16), "kvserver in clear",
              load("ws-get", "in-clear", depth=16), None)]


def measure(servers, options, results):
    start_servers(servers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    compared = [one for one in ratios(servers) if is_chosen(one.name, options)]
    if compared:
        run_load("fill", PORTS["in-clear"], depth=64, keys=options.keys)
    for _ in range(options.rounds):
        for one in compared:
            one.run_round(options)
    for one in compared:
        show(one.result())
    results["ratios"] += [one.result() for one in compared]
    if options.only is None:
        n = 100 if options.smoke else 3000
        for name, port, what, most in (("idle WebSocket in clear", "in-clear", None, None),
                                       ("idle WebSocket, TLS 1.3", "tls", context, 12)):
            show_figure(results["figures"], name, idle_bytes(servers, PORTS[port], n, what) / 1024,
                        "KiB", most)
    for name in list(servers.running):
        servers.stop(name)

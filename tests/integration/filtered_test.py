#!/usr/bin/env python3
"""The server under the system call filter of its unit: every store, TLS, key sets from an https URL, hooks, a sink, a
reload, a backup and a restart. A call that the unit forbids fails with the unit's error, as systemd has it. Prints TAP.
"""
import ctypes
import errno
import http.server
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import processes  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position
from redis_servers import Redis  # pylint: disable=wrong-import-position

UNIT = os.path.join(HERE, "../../conf/systemd/kvserver.service")
SKIPPED = 77
ALLOW = 0x7fff0000  # SCMP_ACT_ALLOW
EQUAL = 4  # SCMP_CMP_EQ
KEY_SET = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1",
                                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})
HOOK = 'function before_set(key) if key == "refused" then kv.refuse("no") end end'


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(SKIPPED)


def settings(name):
    with open(UNIT, encoding="utf-8") as unit:
        return re.findall(rf"^{name}=(.*)$", unit.read(), re.MULTILINE)


def members(group):
    """The system calls of a group, with those of the groups in it."""
    lines = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", group], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    found = set()
    for line in lines[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= members(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def allowed_calls():
    """systemd always adds @default to a list of allowed calls."""
    calls = members("@default")
    for setting in settings("SystemCallFilter"):
        is_removal = setting.startswith("~")
        for word in setting.lstrip("~").split():
            some = members(word) if word.startswith("@") else {word}
            calls = calls - some if is_removal else calls | some
    return calls


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class Filter:
    """To be loaded between fork and exec; so it is made before."""

    def __init__(self):
        self.library = ctypes.CDLL("libseccomp.so.2")
        self.library.seccomp_init.restype = ctypes.c_void_p
        code = getattr(errno, settings("SystemCallErrorNumber")[0])
        self.context = ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(0x00050000 | code)))
        families = settings("RestrictAddressFamilies")[0].split()
        for name in allowed_calls():
            number = self.library.seccomp_syscall_resolve_name(name.encode())
            if number < 0:
                continue  # of another architecture, or newer than the library
            if name != "socket":
                self.add(number)
            for family in families if name == "socket" else ():
                self.add(number, Comparison(0, EQUAL, getattr(socket, family), 0))

    def add(self, number, *comparisons):
        array = (Comparison * max(1, len(comparisons)))(*comparisons)
        result = self.library.seccomp_rule_add_array(self.context, ctypes.c_uint32(ALLOW), number, len(comparisons),
                                                     array)
        assert result == 0, (number, result)

    def load(self):
        if self.library.seccomp_load(self.context) != 0:
            os._exit(99)


class Filtered(Server):
    filter = None

    def spawn(self, command):
        return processes.start(command, stderr=self.log, preexec_fn=Filtered.filter.load)


class KeyServer:
    """An https server of a key set; its certificate is for 127.0.0.1."""

    def __init__(self, folder):
        self.certificate = os.path.join(folder, "keys.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-days", "2",
                        "-keyout", self.certificate + ".key", "-out", self.certificate], check=True,
                       capture_output=True)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                self.send_response(200)
                self.send_header("Content-Length", str(len(KEY_SET)))
                self.end_headers()
                self.wfile.write(KEY_SET.encode())

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.certificate + ".key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self):
        return f"https://localhost:{self.server.server_port}/keys"


def expect(got, expected):
    assert got == expected, f"expected {expected}, got {got}"


def ask_by_tls(port, authority):
    context = ssl.create_default_context(cafile=authority)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as plain, \
            context.wrap_socket(plain, server_hostname="127.0.0.1") as stream:
        stream.sendall(b"GET /storage/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := stream.recv(65536):
            answer += piece
    return answer


def is_filtered(process):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
        return "\nSeccomp:\t2\n" in status.read()


def serve(keys, store, options, is_durable):
    more = (f"threads: 2\nscripts: [{{file: hook.lua}}]\nsinks: [{{module: file, options: {{path: events}}}}]\n"
            f"access: {{anonymous: {{read: [''], write: ['']}}, jwt: [{{issuer: a, keys: '{keys.url()}', "
            f"ca_file: {keys.certificate}, grants: {{read: [a/]}}}}], "
            "tokens: [{name: every, admin: [backup, metrics, clients], sha256: "
            "105b1190953880ed6984b47621dbbd65799e2c07646d4e4327dd7bf205b414c4}]}\n")
    server = Filtered(store=store, options=options, more=more, files={"hook.lua": HOOK},
                      also=f", {{host: 127.0.0.1, port: 0, tls: {{cert: {keys.certificate}, "
                      f"key: {keys.certificate}.key}}}}, {{unix: %folder/socket}}")
    try:
        use(server, keys, is_durable)
    finally:
        server.end()


def use(server, keys, is_durable):
    token = {"Authorization": "Bearer every-token-1234567890"}
    assert is_filtered(server.process)
    wait_for(lambda: "1 key is valid now" in server.read_log(), "the key set is not fetched")
    expect(server.request("PUT", "/storage/a", '{"value":1}')[0], 202)
    expect(server.request("PUT", "/storage/long", json.dumps({"value": "x" * 300000}))[0], 202)
    expect(server.request("PUT", "/storage/short", '{"value":1,"ttl":"100ms"}')[0], 202)
    expect(server.request("PUT", "/storage/refused", '{"value":1}')[0], 403)
    expect(server.request("GET", "/storage/a")[2], b'{"value":1}')
    expect(len(server.request("GET", "/storage/long")[2]), 300012)
    wait_for(lambda: server.request("GET", "/storage/short")[0] == 204, "the key does not expire")
    port = int(re.search(r"listening on https://127.0.0.1:(\d+)", server.read_log()).group(1))
    assert ask_by_tls(port, keys.certificate).endswith(b'{"value":1}')
    events = os.path.join(server.folder.name, "events")
    wait_for(lambda: os.path.exists(events) and '"a"' in open(events, encoding="utf-8").read(),
             "the sink writes nothing")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "the certificates have been read again" in server.read_log(), "nothing is reloaded")
    for path in ("/metrics", "/admin/clients", "/admin/backup"):
        status, _, body = server.request("GET", path, headers=token)
        expect(status, 200)
        assert body
    if is_durable:
        server.end_process()
        server.start()
        expect(server.request("GET", "/storage/a")[2], b'{"value":1}')
    expect([line for line in server.read_log().splitlines() if " error " in line], [])


def refuse():
    """The filter does what it is for: otherwise the other tests show nothing."""
    code = "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"
    arguments = {"capture_output": True, "text": True, "timeout": PATIENCE_S, "check": False}
    expect(subprocess.run([sys.executable, "-c", code], **arguments).returncode, 0)
    done = subprocess.run([sys.executable, "-c", code], preexec_fn=Filtered.filter.load, **arguments)
    assert done.returncode == 1 and "Operation not permitted" in done.stderr, done.stderr


def main():
    for program in ("systemd-analyze", "openssl"):
        if shutil.which(program) is None:
            skip_all(f"there is no {program}")
    try:
        Filtered.filter = Filter()
    except OSError as fault:
        skip_all(f"there is no libseccomp: {fault}")
    report = Report()
    report.check("the filter refuses other address families", refuse)
    modules = os.environ["KV_TEST_MODULES"]
    with tempfile.TemporaryDirectory(prefix="kvserver-test-") as folder:
        keys = KeyServer(folder)
        for store, options in (("memory", ""), ("simple", ""), ("rocksdb", "path: '%folder/store'"),
                               ("lmdb", "path: '%folder/store', map_size: 64MiB")):
            name = f"the server works under the filter of its unit: {store}"
            if os.path.exists(os.path.join(modules, "store", store + ".so")):
                report.check(name, lambda: serve(keys, store, options, "path" in options))  # pylint: disable=cell-var-from-loop
            else:
                report.skip(name, "the store is not built")
        name = "the server works under the filter of its unit: redis"
        if shutil.which("redis-server") is None or not os.path.exists(os.path.join(modules, "store/redis.so")):
            report.skip(name, "there is no redis-server, or the store is not built")
        else:
            redis = Redis()
            report.check(name, lambda: serve(keys, "redis", f"port: {redis.port}", True))
            redis.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""An application's files (`pages`): the files served, their forms, and files never served. Prints TAP."""
import http.client
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import processes  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position

PART = 64 << 10  # what is read of a file at a time
LONG = bytes(i * 31 % 251 for i in range(5 * PART + 77))
HUGE = 200 << 20
INDEX = b"<!doctype html><title>An application</title>"
FILES = {
    "public/index.html": INDEX,
    "public/docs/index.html": b"docs",
    "public/app.js": b"export {};",
    "public/style.CSS": b"body {}",
    "public/empty": b"",
    "public/exact": LONG[:PART],
    "public/more": LONG[:PART + 1],
    "public/long.bin": LONG,
    "public/no-index/file.txt": b"file",
    "public/a b/\xfc.txt".encode(): b"name",
    "public/storage/key": b"not the key",
    "public/healthz": b"not the state",
    "public/.env": b"SECRET=1",
    "public/.git/config": b"secret",
    "public/docs/.hidden": b"secret",
    "secret.txt": b"secret",
    "publicly.txt": b"secret",
}
DATE = "Wed, 01 Jan 2020 00:00:00 GMT"
DATE_S = 1577836800


def expect(got, expected):
    assert got == expected, f"expected {str(expected)[:200]}, got {str(got)[:200]}"


def prepare(server):
    for name, content in FILES.items():
        path = os.path.join(server.folder.name.encode(), name if isinstance(name, bytes) else name.encode())
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    public = os.path.join(server.folder.name, "public")
    os.symlink("app.js", os.path.join(public, "inside.js"))
    os.symlink("../secret.txt", os.path.join(public, "outside.txt"))
    os.symlink("/etc/hostname", os.path.join(public, "absolute.txt"))
    os.symlink("..", os.path.join(public, "up"))
    os.symlink("itself", os.path.join(public, "itself"))
    os.mkfifo(os.path.join(public, "pipe"))
    with open(os.path.join(public, "huge"), "wb") as file:
        file.truncate(HUGE)
    os.utime(os.path.join(public, "app.js"), (DATE_S, DATE_S))
    return public


class Folder(Server):
    """A server with pages; the folder must exist before it starts."""

    def __init__(self, more="", also=""):
        self.public = None
        super().__init__("pages: {folder: public}\n" + more, also=also,
                         before=lambda server: setattr(server, "public", prepare(server)))


def test_content(report, server, name):
    def serves(path, body, content_type):
        status, headers, got = server.request("GET", path)
        expect((status, got), (200, body))
        expect(headers["content-type"], content_type)
        expect(headers["x-content-type-options"], "nosniff")
        expect(headers["cache-control"], "no-cache")
        expect(int(headers["content-length"]), len(body))
        status, head, got = server.request("HEAD", path)
        expect((status, got, head["content-length"]), (200, b"", headers["content-length"]))

    html, octets = "text/html; charset=utf-8", "application/octet-stream"
    for path, body, content_type in [
            ("/", INDEX, html),
            ("/index.html?v=1", INDEX, html),
            ("/docs/", b"docs", html),
            ("/app.js", b"export {};", "text/javascript; charset=utf-8"),
            ("/inside.js", b"export {};", "text/javascript; charset=utf-8"),
            ("/style.CSS", b"body {}", "text/css; charset=utf-8"),
            ("/empty", b"", octets),
            ("/exact", LONG[:PART], octets),
            ("/more", LONG[:PART + 1], octets),
            ("/long.bin", LONG, octets),
            ("/a%20b/%C3%BC.txt", b"name", "text/plain; charset=utf-8")]:
        report.check(f"{path} is served ({name})",
                     lambda args=(path, body, content_type): serves(*args))

    def redirects():
        for path, location in [("/docs", "./docs/"), ("/docs?a=b", "./docs/?a=b"),
                               ("/no-index", "./no-index/"), ("/a%20b", "./a%20b/")]:
            status, headers, _ = server.request("GET", path)
            expect((status, headers["location"]), (308, location))

    def keeps_the_servers_own():
        server.request("PUT", "/storage/key", '{"value": 1}')
        expect(server.request("GET", "/storage/key")[2], b'{"value":1}')
        expect(server.request("GET", "/healthz")[2], b'{"status":"ok"}')
        expect(server.request("GET", "/console/")[0], 200)
        expect(server.request("POST", "/app.js", "{}")[0], 405)

    def goes_on():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        for path, status in [("/storage/none", 204), ("/long.bin", 200), ("/none", 404),
                             ("/app.js", 200), ("/docs", 308), ("/more", 200), ("/storage/none", 204)]:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            expect((path, answer.status), (path, status))
        connection.close()

    report.check(f"a folder has a slash at its end ({name})", redirects)
    report.check(f"the server's own paths win ({name})", keeps_the_servers_own)
    report.check(f"pages and other requests share a connection ({name})", goes_on)


def raw_request(server, target):
    """Sends the target unchanged, which http.client might not do."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


def test_refusals(report, server, name):
    def refuses(target, expected):
        status, head, body = raw_request(server, target)
        expect((target, status), (target, expected))
        assert b"secret" not in body.lower(), "it leads out"
        assert b'{"error":"' in body and b"application/json" in head

    for expected, targets in [
            (404, [b"/none", b"/app.js/", b"/app.js/index.html", b"/no-index/", b"/pipe", b"/itself",
                   b"/.env", b"/%2eenv", b"/.git/config", b"/docs/.hidden", b"/docs/%2Ehidden",
                   b"/../secret.txt", b"/%2e%2e/secret.txt", b"/docs/../../secret.txt",
                   b"/docs/..%2f..%2fsecret.txt", b"/..%2fsecret.txt", b"/.%2e/publicly.txt",
                   b"/%2fetc/passwd", b"//etc/passwd", b"/docs//index.html", b"/./app.js",
                   b"/app.js%00.html", b"/%00", b"/%ff", b"/%zz", b"/" + b"x" * 300,
                   b"/" + b"a/" * 2500, b"/..;/secret.txt", b"/..\\secret.txt"]),
            (403, [b"/outside.txt", b"/absolute.txt", b"/up/secret.txt", b"/up/publicly.txt", b"/up"])]:
        for target in targets:
            shown = target.decode("latin-1")
            report.check(f"{shown[:40]} is refused with {expected} ({name})",
                         lambda args=(target, expected): refuses(*args))

    def leads_nowhere_else():
        for target in b"//evil.example/docs", b"//evil.example/%2e%2e/docs", b"//docs":
            expect(raw_request(server, target)[0], 404)

    report.check(f"no redirection leads to another host ({name})", leads_nowhere_else)


def test_conditions(report, server, name):
    def get(path, **headers):
        return server.request("GET", path, headers={key.replace("_", "-"): value
                                                    for key, value in headers.items()})

    def by_tag():
        etag = get("/app.js")[1]["etag"]
        expect(get("/app.js", If_None_Match=etag)[0], 304)
        expect(get("/app.js", If_None_Match="W/" + etag)[0], 304)
        expect(get("/app.js", If_None_Match='"x"')[0], 200)
        expect(get("/app.js", If_Match=etag)[0], 200)
        expect(get("/app.js", If_Match="W/" + etag)[0], 412)

    def by_time():
        expect(get("/app.js")[1]["last-modified"], DATE)
        for date in DATE, "Wednesday, 01-Jan-20 00:00:00 GMT", "Wed Jan  1 00:00:00 2020":
            expect(get("/app.js", If_Modified_Since=date)[0], 304)
            expect(get("/app.js", If_Unmodified_Since=date)[0], 200)
        before = "Tue, 31 Dec 2019 23:59:59 GMT"
        expect(get("/app.js", If_Modified_Since=before)[0], 200)
        expect(get("/app.js", If_Unmodified_Since=before)[0], 412)
        expect(get("/app.js", If_Modified_Since="soon")[0], 200)
        expect(get("/app.js", If_Modified_Since=DATE, If_None_Match='"x"')[0], 200)

    def after_a_change():
        path = os.path.join(server.public, "changing.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("one")
        etag = get("/changing.txt")[1]["etag"]
        with open(path, "w", encoding="utf-8") as file:
            file.write("another")
        status, headers, body = get("/changing.txt", If_None_Match=etag)
        expect((status, body), (200, b"another"))
        assert headers["etag"] != etag
        os.unlink(path)
        expect(get("/changing.txt", If_None_Match="*")[0], 404)

    def ranges():
        size = len(LONG)
        for path, content in ("/long.bin", LONG), ("/app.js", b"export {};"):
            size = len(content)
            for text, first, end in [("bytes=0-0", 0, 1), ("bytes=3-", 3, size), ("bytes=-4", size - 4, size),
                                     ("bytes=2-5", 2, 6), ("BYTES=2-99999999999999999999999", 2, size),
                                     (f"bytes=-{size + 5}", 0, size)]:
                status, headers, body = get(path, Range=text)
                expect((text, status, body), (text, 206, content[first:end]))
                expect(headers["content-range"], f"bytes {first}-{end - 1}/{size}")
                expect(headers["accept-ranges"], "bytes")
            for text in f"bytes={size}-", "bytes=-0":
                status, headers, _ = get(path, Range=text)
                expect((text, status, headers["content-range"]), (text, 416, f"bytes */{size}"))
            for text in "bytes=0-0,2-3", "lines=1-2", "bytes=5-2", "bytes=-", "bytes", "bytes=a-b":
                status, _, body = get(path, Range=text)
                expect((text, status, body), (text, 200, content))

    def ranges_of_a_state():
        etag = get("/app.js")[1]["etag"]
        for state, status in [(etag, 206), ('"other"', 200), ("W/" + etag, 200), (DATE, 206),
                              ("Thu, 02 Jan 2020 00:00:00 GMT", 200)]:
            expect((state, get("/app.js", Range="bytes=0-1", If_Range=state)[0]), (state, status))
        expect(get("/app.js", Range="bytes=0-1", If_None_Match=etag)[0], 304)
        status, _, body = server.request("HEAD", "/app.js", headers={"Range": "bytes=0-1"})
        expect((status, body), (200, b""))

    report.check(f"a file is sent again only if its entity tag differs ({name})", by_tag)
    report.check(f"a file is sent again only if it has changed since ({name})", by_time)
    report.check(f"a changed file has another entity tag ({name})", after_a_change)
    report.check(f"parts of a file are served ({name})", ranges)
    report.check(f"a part is of the state that was asked for ({name})", ranges_of_a_state)


def memory_of(server):
    with open(f"/proc/{server.process.pid}/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def descriptors_of(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def test_long_files(report, server):
    def costs_no_memory():
        before, readers = memory_of(server), []
        for _ in range(8):  # that take the beginning, and then stop to read
            reader = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
            reader.sendall(b"GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert reader.recv(1000).startswith(b"HTTP/1.1 200")
            readers.append(reader)
        expect(server.request("GET", "/long.bin")[2], LONG)
        assert memory_of(server) - before < 32 << 20, "long files are kept in memory"
        for reader in readers:
            reader.close()

    def arrives_whole():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        connection.request("GET", "/huge")
        answer, n = connection.getresponse(), 0
        while chunk := answer.read(1 << 20):
            n += len(chunk)
        connection.close()
        expect(n, HUGE)

    def is_closed():
        wait_for(lambda: descriptors_of(server) <= before_fds, "files stay open")

    def ends_with_its_file():
        path = os.path.join(server.public, "shrinking")
        with open(path, "wb") as file:
            file.truncate(HUGE)
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as reader:
            reader.sendall(b"GET /shrinking HTTP/1.1\r\nHost: localhost\r\n\r\n")
            n = len(reader.recv(1000))
            os.truncate(path, 1000)
            while chunk := reader.recv(1 << 20):
                n += len(chunk)
        assert n < HUGE, "more than there is"
        expect(server.request("GET", "/shrinking")[0], 200)

    before_fds = descriptors_of(server)
    report.check("a long file arrives whole", arrives_whole)
    report.check("long files that are not read cost little memory", costs_no_memory)
    report.check("a file that becomes shorter ends the connection", ends_with_its_file)
    report.check("no file stays open", is_closed)


def test_at_once(report, server):
    """Many requests at once; some clients disconnect before their answer."""
    faults = []

    def fetch(i):
        try:
            for k in range(20):
                if (i + k) % 5 == 0:
                    with socket.create_connection(("127.0.0.1", server.port)) as connection:
                        connection.sendall(b"GET /long.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    continue
                path, body = [("/long.bin", LONG), ("/app.js", b"export {};"), ("/more", LONG[:PART + 1])][k % 3]
                expect(server.request("GET", path)[2], body)
        except Exception as fault:  # pylint: disable=broad-except
            faults.append(fault)

    def all_are_served():
        threads = [threading.Thread(target=fetch, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not faults, faults[0]

    report.check("many are served at once", all_are_served)


def test_without_index(report, server):
    def introduces_itself():
        index = os.path.join(server.public, "index.html")
        os.rename(index, index + ".away")
        status, headers, body = server.request("GET", "/")
        expect((status, headers["content-type"]), (200, "text/plain; charset=utf-8"))
        assert b"/storage/KEY" in body
        os.rename(index + ".away", index)

    report.check("without an index the server introduces itself", introduces_itself)


def test_tls(report):
    def serves():
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            def prepare_keys(server):
                server.public = prepare(server)
                subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
                                "-keyout", os.path.join(server.folder.name, "key.pem"), "-out",
                                os.path.join(server.folder.name, "cert.pem")],
                               check=True, stderr=nowhere)
            server = Server("pages: {folder: public}\n", before=prepare_keys,
                            also=", {host: 127.0.0.1, port: 0, tls: {cert: cert.pem, key: key.pem}}")
        try:
            def told():
                return server.read_log().partition("https://127.0.0.1:")[2]
            wait_for(lambda: "\n" in told(), "the server does not tell its second port")
            port = int(told().split("\n")[0])
            context = ssl.create_default_context(cafile=os.path.join(server.folder.name, "cert.pem"))
            context.check_hostname = False
            connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=PATIENCE_S)
            for path, body in ("/", INDEX), ("/long.bin", LONG), ("/app.js", b"export {};"):
                connection.request("GET", path)
                expect(connection.getresponse().read(), body)
            connection.close()
        finally:
            server.end()

    report.check("pages are served over TLS", serves)


def test_descriptors(report):
    most = 256

    class Narrow(Folder):
        """One that may open few files."""

        def spawn(self, command):
            return processes.start(command, stderr=self.log, preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (most, most)))

    def begin(server):
        """A client that takes nothing but the head. Returns: its socket, and the status."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE_S)
        client.connect(("127.0.0.1", server.port))
        client.sendall(b"GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return client, int(client.recv(12)[9:])

    def bounded():
        server = Narrow()
        try:
            clients = [begin(server) for _ in range(most * 3 // 4 - 1)]
            n_open = descriptors_of(server)
            assert n_open <= most - most // 16, n_open
            expect({status for _, status in clients}, {200, 503})
            n_served = sum(status == 200 for _, status in clients)
            assert n_served >= most // 4, n_served
            for client, _ in clients:
                client.close()
            wait_for(lambda: server.request("GET", "/huge", headers={"Range": "bytes=0-1"})[0] == 206,
                     "the descriptors are not given back")
        finally:
            server.end()

    report.check("files that are taken slowly leave descriptors to the store", bounded)


def test_configuration(report):
    def check(text, expected):
        server = Folder()
        path = server.write("other.yaml", f"modules: {os.environ['KV_TEST_MODULES']}\n{text}")
        checked = subprocess.run([os.environ["KV_SERVER_PROGRAM"], "-c", path, "--check-config"],
                                 capture_output=True, text=True, check=False)
        server.end()
        expect(checked.returncode, 2 if expected else 0)
        assert expected in checked.stdout + checked.stderr, checked.stdout + checked.stderr

    report.check("--check-config takes a folder", lambda: check("pages: {folder: public}\n", ""))
    report.check("--check-config says that there is no folder",
                 lambda: check("pages: {folder: nowhere}\n", "other.yaml:2:17: pages.folder: "))
    report.check("--check-config says that it is no folder",
                 lambda: check("pages: {folder: secret.txt}\n", "Not a directory"))
    report.check("--check-config takes no folder",
                 lambda: check("pages: {folder: \"\"}\n", ""))


def main():
    report = Report()
    for front, name in ("true", "fast path"), ("false", "libh2o"):
        server = Folder(f"http: {{front: {front}}}\n")
        try:
            test_content(report, server, name)
            test_refusals(report, server, name)
            test_conditions(report, server, name)
            if front == "true":
                test_long_files(report, server)
                test_at_once(report, server)
                test_without_index(report, server)
        finally:
            server.end()
    test_tls(report)
    test_descriptors(report)
    test_configuration(report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

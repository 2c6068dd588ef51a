#!/usr/bin/env python3
"""The files that are part of the program: the client, the console, the descriptions. Prints TAP."""
import gzip
import http.client
import os
import re
import sys
from urllib.parse import urljoin

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from kvserver import PATIENCE_S, Report, Server  # pylint: disable=wrong-import-position

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../core/web")
FILES = {
    "/client.js": ("client/client.js", "text/javascript; charset=utf-8"),
    "/console/": ("console/index.html", "text/html; charset=utf-8"),
    "/console/console.js": ("console/console.js", "text/javascript; charset=utf-8"),
    "/console/console.css": ("console/console.css", "text/css; charset=utf-8"),
    "/console/feed.js": ("console/feed.js", "text/javascript; charset=utf-8"),
    "/console/figures.js": ("console/figures.js", "text/javascript; charset=utf-8"),
    "/console/list.js": ("console/list.js", "text/javascript; charset=utf-8"),
    "/console/text.js": ("console/text.js", "text/javascript; charset=utf-8"),
    "/console/tree.js": ("console/tree.js", "text/javascript; charset=utf-8"),
    "/console/value.js": ("console/value.js", "text/javascript; charset=utf-8"),
    "/console/icon.svg": ("console/icon.svg", "image/svg+xml"),
    "/openapi.yaml": ("openapi.yaml", "application/yaml"),
    "/asyncapi.yaml": ("asyncapi.yaml", "application/yaml"),
    "/llms.txt": ("docs/llms.txt", "text/plain; charset=utf-8"),
    "/docs/http.md": ("docs/http.md", "text/markdown; charset=utf-8"),
    "/docs/PROTOCOL.md": ("../PROTOCOL.md", "text/markdown; charset=utf-8"),
}
LARGEST_CONSOLE = 60 << 10  # bytes of its own files, not compressed; the client has a limit of its own
EVERYBODY = 'access: {anonymous: {read: [""]}}\n'


def expect(got, expected):
    assert got == expected, f"expected {str(expected)[:200]}, got {str(got)[:200]}"


def source_of(path):
    """The file as it is served: programs and pages without comment lines and indentation, documents with links to
    where the contract is served."""
    name = FILES[path][0]
    with open(os.path.join(SOURCES, name), "rb") as file:
        text = file.read()
    if name.endswith(".md"):
        return text.replace(b"](../../PROTOCOL.md", b"](PROTOCOL.md")
    if name.endswith(".js"):
        text = re.sub(rb"\n *//[^\n]*", b"", text)
    return re.sub(rb"\n[ \n]+", b"\n", text) if name.endswith((".js", ".css", ".html")) else text


def load_console(server):
    """Returns: the files that a browser fetches for the console, by path."""
    found, waiting = {}, ["/console/"]
    while waiting:
        path = waiting.pop()
        status, _, body = server.request("GET", path)
        expect((path, status), (path, 200))
        found[path] = body
        references = re.findall(r'(?:\bsrc=|\bhref=|\bfrom |\bimport )"([^"$]+)"', body.decode())
        waiting += {urljoin(path, name) for name in references} - {*found, *waiting}
    return found


def test_file(report, server, path, name):
    def get(**headers):
        return server.request("GET", path, headers={key.replace("_", "-"): value
                                                    for key, value in headers.items()})

    def is_served():
        status, headers, body = get()
        expect(status, 200)
        expect(body, source_of(path))
        expect(headers["content-type"], FILES[path][1])
        expect(headers["x-content-type-options"], "nosniff")
        expect(headers["cache-control"], "no-cache")
        assert "content-encoding" not in headers

    def is_compressed():
        plain, zipped = get()[1], get(Accept_Encoding="br, gzip;q=0.5")
        expect(gzip.decompress(zipped[2]), source_of(path))
        expect(zipped[1]["content-encoding"], "gzip")
        assert zipped[1]["etag"] != plain["etag"], "two forms have one entity tag"
        for headers in plain, zipped[1]:
            assert "accept-encoding" in headers["vary"].lower()
        for refused in "gzip;q=0", "gzip; q=0.0", "br", "x-gzip-not", "identity":
            assert "content-encoding" not in get(Accept_Encoding=refused)[1], refused

    def is_conditional():
        etag = get()[1]["etag"]
        for known in etag, "W/" + etag, f'"other", {etag}', "*":
            status, headers, body = get(If_None_Match=known)
            expect((status, body), (304, b""))
            expect(headers["etag"], etag)
        for other in '"other"', "nonsense", '""':
            expect(get(If_None_Match=other)[0], 200)
            expect(get(If_Match=other)[0], 412)
        expect(get(If_Match=etag)[0], 200)

    def has_head():
        status, headers, body = server.request("HEAD", path)
        expect((status, body), (200, b""))
        expect(int(headers["content-length"]), len(source_of(path)))

    def takes_no_writes():
        status, headers, _ = server.request("PUT", path, "{}")
        expect((status, headers["allow"]), (405, "GET, HEAD, OPTIONS"))

    report.check(f"{path} is its file ({name})", is_served)
    report.check(f"{path} is compressed for those who take that ({name})", is_compressed)
    report.check(f"{path} is sent again only if it has changed ({name})", is_conditional)
    report.check(f"{path} has a head ({name})", has_head)
    report.check(f"{path} cannot be written ({name})", takes_no_writes)


def test_among_others(report, server, name):
    def between_keys():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        for path, expected in [("/storage/none", 204), ("/console/", 200), ("/storage/none", 204),
                               ("/console", 308), ("/console/nothing", 404), ("/healthz", 200)]:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            expect(answer.status, expected)
            if path == "/console":
                expect(answer.getheader("location"), "console/")
            if path == "/console/":
                expect(body, source_of(path))
        connection.close()

    def across_origins():
        for origin, allowed in [("https://app.example", "https://app.example"),
                                ("https://other.example", None)]:
            status, headers, _ = server.request("GET", "/client.js", headers={"Origin": origin})
            expect((status, headers["access-control-allow-origin"]), (200, allowed))

    report.check(f"files come on the connection of other requests ({name})", between_keys)
    report.check(f"pages of listed origins may import the client ({name})", across_origins)


def served_documents():
    """Where the server's files are served, by their places in the source tree."""
    files = {os.path.realpath(os.path.join(SOURCES, name)): path for path, (name, _) in FILES.items()}
    for name in os.listdir(f"{SOURCES}/docs"):
        if name.endswith(".md"):
            files[os.path.realpath(os.path.join(SOURCES, "docs", name))] = f"/docs/{name}"
    return files


def links_of(text):
    return re.findall(r"\]\(([^)#\s:]+)[^)\s:]*\)", re.sub(r"(?ms)^ *```.*?^ *```", "", text))


def test_documents(report):
    """Links that lead to a served file in the source tree lead to it on the server as well."""
    def lead_somewhere():
        files = served_documents()
        server = Server()
        try:
            n_links = 0
            for file, path in files.items():
                if not path.endswith(".md"):
                    continue
                with open(file, encoding="utf-8") as source:
                    targets = [os.path.realpath(os.path.join(os.path.dirname(file), link)) for link in links_of(source.read())]
                status, _, body = server.request("GET", path)
                expect((path, status), (path, 200))
                for link, target in zip(links_of(body.decode()), targets, strict=True):
                    if target in files:
                        expect((path, link, urljoin(path, link)), (path, link, files[target]))
                        expect((path, link, server.request("GET", urljoin(path, link))[0]), (path, link, 200))
                        n_links += 1
            assert n_links > 50, n_links
        finally:
            server.end()

    report.check("links between served documents lead to them", lead_somewhere)


def test_console(report):
    def is_strict():
        server = Server()
        policy = server.request("GET", "/console/")[1]["content-security-policy"]
        server.end()
        for part in "default-src 'none'", "script-src 'self';", "frame-ancestors 'none'":
            assert part in policy, part
        assert "unsafe" not in policy

    def is_small():
        server = Server()
        try:
            files = load_console(server)
        finally:
            server.end()
        own = {path: body for path, body in files.items() if path.startswith("/console/")}
        expect(files.keys() - own.keys(), {"/client.js"})
        expect({f"console/{path[9:] or 'index.html'}" for path in own}, {f"console/{name}" for name in os.listdir(f"{SOURCES}/console")})
        size = sum(map(len, own.values()))
        print(f"# the console has {size} bytes")
        assert size <= LARGEST_CONSOLE, f"{size} bytes"

    def is_fetched_at_once():
        server = Server()
        try:
            scripts = {path for path in load_console(server) if path.endswith(".js")}
        finally:
            server.end()
        named = re.findall(rb'(?:modulepreload" href|src)="([^"]+\.js)"', source_of("/console/"))
        expect({urljoin("/console/", name.decode()) for name in named}, scripts)

    def is_served(more, expected, also=""):
        server = Server(more, also=also)
        try:
            for path in "/console", "/console/", "/console/console.js":
                found = server.request("GET", path)[0]
                expect(found in (200, 308), expected)
                expect(found == 404, not expected)
            expect(server.request("GET", "/client.js")[0], 200)
        finally:
            server.end()

    everywhere = ", {host: 0.0.0.0, port: 0}"
    report.check("the console runs no script but its own", is_strict)
    report.check("the console is small", is_small)
    report.check("the page names all of its scripts, so that a browser need not find one by another", is_fetched_at_once)
    report.check("`console: false` switches it off", lambda: is_served("console: false\n", False))
    report.check("it is off where other machines reach the server",
                 lambda: is_served(EVERYBODY, False, everywhere))
    report.check("`console: true` switches it on there",
                 lambda: is_served(EVERYBODY + "console: true\n", True, everywhere))


def main():
    report = Report()
    for front, name in ("true", "fast path"), ("false", "libh2o"):
        server = Server(f"http: {{front: {front}}}\norigins: ['https://app.example']\n")
        try:
            for path in FILES:
                test_file(report, server, path, name)
            test_among_others(report, server, name)
        finally:
            server.end()
    test_documents(report)
    test_console(report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

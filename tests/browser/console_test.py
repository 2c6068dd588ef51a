#!/usr/bin/env python3
"""The console in Chromium. Prints TAP. With KV_TEST_PICTURES=FOLDER, pictures of it are left there.
"""
import json
import os
import shutil
import subprocess
import sys
import time
from urllib.parse import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from kvserver import Report, Server, wait_for  # pylint: disable=wrong-import-position
from webdriver import Browser

MANY = 100_000
READER, WRITER = "a-token-that-reads", "a-token-that-also-writes"

# Functions in the page for the tests.
HELPERS = """
window.rows = () => [...document.querySelectorAll("#tree .row:not([hidden])")];
window.row = name => rows().find(row => row.querySelector(".name").textContent === name);
window.part = name => document.querySelector(`[data-part="${name}"]`);
window.feed = () => [...document.querySelectorAll("#feed li")];
window.figures = () => [...document.querySelectorAll("figcaption")].map(caption => caption.textContent);
window.type = (element, text) => {
  element.value = text;
  element.dispatchEvent(new Event("input", { bubbles: true }));
};
"""


def expect(got, expected):
    assert got == expected, f"expected {str(expected)[:300]!r}, got {str(got)[:300]!r}"


class Console:
    """The page, and the server behind it."""

    def __init__(self, browser, server):
        self.browser = browser
        self.server = server

    def open(self, fragment=""):
        self.browser.open("about:blank")
        self.browser.open(f"http://localhost:{self.server.port}/console/{fragment}")
        self.browser.run(HELPERS)

    def run(self, script, *arguments):
        return self.browser.run(f"return {script}", *arguments)

    def wait(self, script, *arguments):
        wait_for(lambda: self.run(script, *arguments), f"it does not come to be: {script}")

    def put(self, key, value, ttl=None, raw=False):
        body = f'{{"value": {value if raw else json.dumps(value)}' + (f', "ttl": "{ttl}"}}' if ttl else "}")
        status = self.server.request("PUT", "/storage/" + quote(key), body)[0]
        expect(status, 202)

    def get(self, key):
        return self.server.request("GET", "/storage/" + quote(key))

    def choose(self, key):
        self.run("location.hash = '#' + encodeURIComponent(arguments[0])", key)
        self.open("#" + quote(key, safe=""))
        self.wait("part('left')?.textContent")

    def click(self, name):
        self.wait("!!row(arguments[0])", name)
        self.run("row(arguments[0]).click()", name)

    def picture(self, name):
        folder = os.environ.get("KV_TEST_PICTURES")
        if folder:
            self.browser.take_picture(os.path.join(folder, f"{name}.png"))


def fill(console):
    console.put("greeting", {"text": "hello"}, "10 minutes")
    for name, city in ("ann", "Paris"), ("bob", "Oslo"), ("cy", "Lima"):
        console.put(f"user/{name}", {"name": name.title(), "city": city, "tags": [], "age": 31})
    console.put("room/42/topic", "Lunch at noon?")
    console.put("room/42/users/ann", {"at": "desk"})
    console.put("exact", '{"n": 12345678901234567890, "e": 1.10E2,"n": -0, "t": "\\u00e4\\ud800"}', raw=True)


def test_tree(report, console):
    def lists():
        console.open()
        console.wait("document.getElementById('state').textContent === 'live'")
        console.wait("rows().length === 4")
        expect(console.run("rows().map(row => row.querySelector('.name').textContent)"),
               ["exact", "greeting", "room/", "user/"])

    def opens():
        console.click("room/")
        console.click("42/")
        console.click("users/")
        console.wait("!!row('ann')")
        expect(console.run("row('topic').getAttribute('aria-level')"), "3")
        console.click("room/")
        console.wait("rows().length === 4")

    def filters():
        console.run("type(document.getElementById('filter'), 'user/b')")
        console.wait("rows().length === 1 && !!row('bob')")
        console.run("type(document.getElementById('filter'), 'nobody')")
        console.wait("document.getElementById('tree-note').textContent.startsWith('No keys begin with')")
        console.run("type(document.getElementById('filter'), '')")
        console.wait("rows().length === 4")

    def follows():
        console.put("user/new", 1)
        console.click("user/")
        console.wait("!!row('new')")
        console.put("user/newer", 1)
        console.wait("!!row('newer')")
        console.browser.run("window.flashes = 0; const animate = Element.prototype.animate;"
                    "Element.prototype.animate = function (...of) { flashes += this.matches('.row'); return animate.apply(this, of); }")
        console.put("user/new", 2)
        console.wait("flashes > 0")
        console.server.request("DELETE", "/storage/user/newer")
        console.wait("!row('newer')")

    def expires():
        console.put("user/short", 1, "3s")
        console.wait("/^[123]s$|^0s$/.test(row('short')?.querySelector('small').textContent)")
        console.wait("row('short')?.classList.contains('gone')")
        console.wait("!row('short')")
        console.server.request("DELETE", "/storage/user/new")

    report.check("keys are a tree of prefixes", lists)
    report.check("folders are listed when they are opened", opens)
    report.check("the filter narrows it to keys that begin with it", filters)
    report.check("changes come as they happen, and flash", follows)
    report.check("a TTL counts down, and an expired key fades", expires)


def run_curl(_, text):
    return run_shell(f"{text} -s") if shutil.which("curl") else None


def run_kvctl(_, text):
    return run_shell(text)


def run_javascript(console, text):
    """Runs it in another page of the server, as the console's page allows only its own scripts."""
    console.browser.open(f"http://localhost:{console.server.port}/healthz")
    console.browser.run("console.log = value => { window.logged = value; };"
                        "const script = Object.assign(document.createElement('script'), { type: 'module' });"
                        "script.textContent = arguments[0]; document.head.append(script);", text)
    console.wait("window.logged !== undefined")
    return console.run("logged")


def run_shell(text):
    """kvctl is in the same folder as the server."""
    path = f"{os.path.dirname(os.environ['KV_SERVER_PROGRAM'])}:{os.environ['PATH']}"
    return json.loads(subprocess.run(["sh", "-c", text], capture_output=True, check=True, env={**os.environ, "PATH": path}).stdout)


def test_value(report, console):
    def is_formatted():
        console.choose("exact")
        expect(console.run("part('text').querySelector('pre').textContent"),
               '{\n  "n": 12345678901234567890,\n  "e": 1.10E2,\n  "n": -0,\n  "t": "\\u00e4\\ud800"\n}')
        console.run("part('stored').click()")
        expect(console.run("part('text').querySelector('pre').textContent"),
               '{"n": 12345678901234567890, "e": 1.10E2,"n": -0, "t": "\\u00e4\\ud800"}')
        console.run("part('formatted').click()")

    def is_live():
        console.choose("user/ann")
        console.put("user/ann", "elsewhere")
        console.wait("part('text').textContent === '\"elsewhere\"'")
        console.server.request("DELETE", "/storage/user/ann")
        console.wait("part('left').textContent === 'gone'")

    def edits():
        console.choose("greeting")
        console.wait("!part('edit').disabled")
        console.browser.press("e")
        console.run("type(part('area'), '{\"text\": 12345678901234567890}')")
        console.browser.press("Enter", control=True)
        console.wait("part('editor').hidden")
        status, headers, body = console.get("greeting")
        expect((status, body), (200, b'{"value":{"text": 12345678901234567890}}'))
        assert 300_000 < int(headers["KV-TTL"]) <= 600_000, "the deadline is lost"

    def refuses_what_is_no_json():
        console.run("part('edit').click()")
        console.run("type(part('area'), '{\"text\": ')")
        assert console.run("part('save').disabled && part('fault').textContent !== ''")
        console.run("type(part('area'), '1')")
        console.run("type(part('ttl'), 'soon')")
        console.run("part('save').click()")
        console.wait("part('say').dataset.kind === 'bad' && !part('say').hidden")
        console.browser.press("Escape")
        console.wait("part('editor').hidden")

    def shows_conflicts():
        console.choose("user/bob")
        console.wait("!part('edit').disabled")
        console.run("part('edit').click()")
        console.run("type(part('area'), '\"mine\"')")
        console.put("user/bob", "theirs")
        console.wait("part('say').dataset.kind === 'conflict' && !part('say').hidden")
        console.picture("conflict")
        console.run("part('save').click()")
        time.sleep(0.3)  # that nothing happens has no sign
        expect(console.get("user/bob")[2], b'{"value":"theirs"}')
        console.run("part('mine').click()")
        console.wait("!part('save').disabled")
        console.run("part('save').click()")
        console.wait("part('editor').hidden")
        expect(console.get("user/bob")[2], b'{"value":"mine"}')

    def deletes():
        console.choose("user/bob")
        console.wait("!part('delete').disabled")
        console.run("part('delete').click()")
        expect(console.get("user/bob")[0], 200)
        console.run("part('delete').click()")
        console.wait("part('left').textContent === 'gone'")
        expect(console.get("user/bob")[0], 204)

    def creates():
        console.open()
        console.wait("rows().length > 2")
        console.browser.press("n")
        console.run("type(part('name'), 'made/here')")
        console.run("type(part('area'), '[1, 2]')")
        console.run("type(part('ttl'), '1 hour')")
        console.run("part('save').click()")
        console.wait("part('left')?.textContent.startsWith('expires in')")
        expect(console.get("made/here")[2], b'{"value":[1, 2]}')
        console.browser.press("Escape")
        console.browser.press("n")
        console.run("type(part('name'), 'made/here')")
        console.run("type(part('area'), '3')")
        console.run("part('save').click()")
        console.wait("part('say').textContent.includes('already exists')")
        expect(console.get("made/here")[2], b'{"value":[1, 2]}')

    def copies():
        for key in "it's/a \"key\"/..", "--help", "ä $HOME `id`\\n":
            value = {"found": key}
            console.put(key, value)
            console.choose(key)
            console.run("void (navigator.clipboard.writeText = async text => { window.copied = text; })")
            for way, mark, run in (("curl", "curl", run_curl), ("kvctl", "kvctl", run_kvctl),
                                   ("JavaScript", "connect(", run_javascript)):
                console.run("part('copy-' + arguments[0]).click()", way)
                console.wait("window.copied?.includes(arguments[0])", mark)
                got = run(console, console.run("copied"))
                assert got in (None, value, {"value": value}), f"{way} of {key}: {got}"
            console.server.request("DELETE", "/storage/" + quote(key, safe=""))

    report.check("a value is shown formatted, and as it is stored, digit by digit", is_formatted)
    report.check("a value that is shown is live", is_live)
    report.check("a value is edited, and keeps its deadline", edits)
    report.check("what is no JSON, and no TTL, is not saved", refuses_what_is_no_json)
    report.check("somebody else's change is shown, and not lost", shows_conflicts)
    report.check("a key is deleted, at the second click", deletes)
    report.check("a key is made, unless it is there", creates)
    report.check("what is copied as a command, or as JavaScript, does what it says", copies)


def test_changes(report, console):
    def shows():
        console.open()
        console.wait("document.getElementById('state').textContent === 'live'")

        def is_told():
            console.put("news", time.time())
            return console.run("feed().length > 0")
        wait_for(is_told, "no change is shown")
        expect(console.run("feed()[0].querySelector('.name').textContent"), "news")

    def pauses():
        console.browser.press("p")
        n = console.run("feed().length")
        console.put("news", "while it is paused")
        console.wait("document.getElementById('feed-note').textContent === 'paused · 1 since'")
        expect(console.run("feed().length"), n)
        console.browser.press("p")
        console.wait("feed().length === arguments[0]", n + 1)

    def leads_to_the_key():
        console.run("feed()[0].click()")
        console.wait("part('text')?.textContent === '\"while it is paused\"'")

    def is_bounded():
        messages = json.dumps([{"type": "set", "payload": {"key": "burst", "value": n}} for n in range(5000)])
        expect(console.server.request("POST", "/batch", messages)[0], 200)
        console.wait("feed()[0].querySelector('code').textContent === '4999'")
        assert console.run("feed().length") <= 300

    def draws_figures():
        names = ["Connections", "Commands", "Latency, 99 %", "States sent", "Keys", "Store", "Memory", "Waiting for sinks"]
        console.wait("arguments[0].every(name => figures().includes(name))", names)
        console.wait("document.querySelector('figure b').textContent !== '–'")
        console.wait("document.querySelector('figure .line').getAttribute('d').includes('L')")

    report.check("changes are shown as they happen", shows)
    report.check("changes can be paused", pauses)
    report.check("a change leads to its key", leads_to_the_key)
    report.check("a burst of changes shows the last ones", is_bounded)
    report.check("the server's figures are drawn", draws_figures)


def test_keyboard(report, console):
    def works():
        console.open()
        console.wait("!!row('room/')")
        console.browser.press("Home", "ArrowDown", "ArrowDown")
        console.wait("row('made/')?.classList.contains('cursor') || row('greeting')?.classList.contains('cursor') || row('news')?.classList.contains('cursor')")
        console.browser.press("/")
        console.wait("document.activeElement.id === 'filter'")
        console.browser.press(*"room/", "Enter")
        console.wait("!!row('42/') && rows().length === 1")
        console.browser.press("ArrowRight")
        console.wait("!!row('topic')")
        console.browser.press("ArrowDown")
        console.wait("row('topic')?.classList.contains('chosen') && part('text').textContent === '\"Lunch at noon?\"'")
        console.browser.press("ArrowLeft", "ArrowLeft")
        console.wait("rows().length === 1")
        console.browser.press("?")
        console.wait("document.getElementById('help-dialog').open")
        console.browser.press("Escape")
        console.wait("!document.getElementById('help-dialog').open")
        console.browser.press("Escape")
        console.wait("document.getElementById('detail').hidden")

    def turns_dark():
        def paper():
            return console.run("getComputedStyle(document.body).backgroundColor")
        console.browser.prefer("light")
        light = paper()
        console.browser.prefer("dark")
        dark = paper()
        assert light != dark, "it follows no preference"
        console.run("document.getElementById('theme').click()")
        expect(paper(), light)
        console.open()
        expect(paper(), light)
        console.browser.prefer("light")
        console.run("localStorage.clear()")

    report.check("it can be used by keyboard alone", works)
    report.check("it is light or dark, as preferred or chosen", turns_dark)


HOSTILE = ['<img src=x onerror="window.pwned = 1">', "<script>window.pwned = 1</script>",
           '"><svg onload="window.pwned = 1">', "javascript:window.pwned=1", "\u202eright\u2066to left",
           "a\u0000b\nc\u200bd", "{{constructor.constructor('window.pwned = 1')()}}", "x" * 2000]


def test_hostile(report, console):
    def does_no_harm():
        for i, text in enumerate(HOSTILE):
            console.put(f"hostile/{text}", {text: [text, "\\ud800"], "i": i})
        console.put("hostile/surrogates", '{"\\udc00": "\\ud800"}', raw=True)
        console.open()
        console.click("hostile/")
        console.wait("rows().length > 8")
        console.picture("hostile-tree")
        for text in HOSTILE + ["surrogates"]:
            console.choose(f"hostile/{text}")
            console.wait("part('text').textContent !== ''")
            console.wait("!part('edit').disabled")
            console.run("part('stored').click()")
            console.run("part('edit').click()")
            console.run("type(part('area'), '1')")
            console.put(f"hostile/{text}", {"changed": text})
            console.wait("part('say').dataset.kind === 'conflict'")
            console.run("part('theirs').click()")
        console.picture("hostile-value")
        expect(console.run("[typeof pwned, document.querySelectorAll('img').length, document.scripts.length]"),
               ["undefined", 1, 1])
        hidden = console.run("/[\\u202a-\\u202e\\u2066-\\u2069\\u0000]/.test(document.body.innerText)")
        assert not hidden, "text can turn around what follows it"

    def takes_long_values():
        console.put("hostile/long", "y" * (5 << 20))
        console.choose("hostile/long")
        console.wait("part('text').textContent.length > 10000")
        assert console.run("part('text').textContent.length") < 250_000, "all of it is in the page"
        console.run("part('stored').click()")
        console.run("part('text').querySelector('button').click()")
        console.wait("part('text').textContent.length > 200000")
        console.run("part('edit').click()")
        console.wait("part('say').textContent.includes('too much')")
        deep = "[" * 1000 + "]" * 1000
        console.put("hostile/deep", deep, raw=True)
        console.choose("hostile/deep")
        console.wait("part('text').textContent.replaceAll(/\\s/g, '') === arguments[0]", deep)

    def breaks_no_policy():
        complaints = [text for text in console.browser.read_log() if "favicon" not in text]
        expect(complaints, [])

    report.check("markup, marks of direction and halves of pairs do no harm", does_no_harm)
    report.check("a value of 5 MiB, and a deep one, do no harm", takes_long_values)
    report.check("nothing has been complained of", breaks_no_policy)


def test_many(report, console):
    def load():
        for first in range(0, MANY, 10000):
            messages = json.dumps([{"type": "set", "payload": {"key": f"many/{n:06}", "value": n}}
                                   for n in range(first, first + 10000)])
            expect(console.server.request("POST", "/batch", messages)[0], 200)
        console.open()
        console.click("many/")
        console.wait("!!row('000000')")

    def scrolls():
        frames = console.run("""new Promise(resolve => {
          const tree = document.getElementById("tree");
          const frames = [];
          let most = 0, last = performance.now(), idle = 0;
          const step = now => {
            frames.push(now - last);
            last = now;
            most = Math.max(most, tree.querySelectorAll(".row").length);
            idle = tree.querySelector(".row.end:not([hidden])") ? 0 : idle + 1;
            tree.scrollTop = tree.scrollHeight;
            if (!!row("099999") && idle > 5) resolve({ worst: Math.max(...frames), mean: frames.reduce((a, b) => a + b) / frames.length, n: frames.length, most });
            else requestAnimationFrame(step);
          };
          requestAnimationFrame(step);
        })""")
        print(f"# to the end of {MANY} keys: {frames['n']} frames, {frames['mean']:.1f} ms on average, "
              f"{frames['worst']:.0f} ms the longest")
        assert frames["most"] < 200, f"{frames['most']} rows are in the document"
        console.picture("many")

    def scrolls_back():
        frames = console.run("""new Promise(resolve => {
          const tree = document.getElementById("tree");
          const frames = [];
          let last = performance.now(), n = 0;
          const step = now => {
            frames.push(now - last);
            last = now;
            tree.scrollTop = tree.scrollHeight * (Math.sin(n++ / 7) / 2 + 0.5);
            if (n < 120) requestAnimationFrame(step);
            else resolve({ worst: Math.max(...frames), mean: frames.reduce((a, b) => a + b) / frames.length });
          };
          requestAnimationFrame(step);
        })""")
        print(f"# here and there among them: {frames['mean']:.1f} ms a frame on average, {frames['worst']:.0f} ms the longest")

    def follows():
        console.run("document.getElementById('tree').scrollTop = 0")
        console.wait("!!row('000000')")
        console.put("many/000000-and-a-half", 1)
        console.wait("!!row('000000-and-a-half')")

    report.check(f"{MANY} keys under one prefix are opened", load)
    report.check("they are scrolled through with a few rows in the document", scrolls)
    report.check("they are scrolled through at random", scrolls_back)
    report.check("a change among them is worked in", follows)


def test_pictures(report, console):
    def paints():
        console.open()
        console.open()  # the browser is warm
        console.wait("performance.getEntriesByType('paint').length > 0")
        first = console.run("performance.getEntriesByType('paint')[0].startTime")
        print(f"# first paint after {first:.0f} ms")
        assert first < 5000

    def fits():
        console.choose("user/cy")
        for name, width, height in ("light", 1440, 860), ("narrow", 420, 860), ("medium", 900, 760):
            console.browser.resize(width, height)
            time.sleep(0.3)  # until it is laid out
            console.picture(name)
            expect(console.run("document.documentElement.scrollWidth <= innerWidth"), True)
        console.browser.resize(1440, 860)
        console.browser.prefer("dark")
        console.picture("dark")
        console.browser.prefer("light")

    report.check("it is painted soon", paints)
    report.check("it fits windows of any width", fits)


class App(Server):
    """A server with the application of the README."""

    def __init__(self):
        super().__init__("pages: {folder: public}\n", before=App.prepare)

    def prepare(self):
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
        with open(os.path.join(root, "README.md"), encoding="utf-8") as readme:
            page = readme.read().split("```html\n")[1].split("```")[0]
        os.mkdir(os.path.join(self.folder.name, "public"))
        self.write("public/index.html", page)


def test_readme(report, browser):
    """The README's first page, in two tabs."""
    server = App()
    console = Console(browser, server)
    items = "[...document.querySelectorAll('li')].map(item => item.textContent)"

    def is_shared():
        browser.open(f"http://localhost:{server.port}/")
        first = browser.call("GET", "/window")
        second = browser.call("POST", "/window/new", {"type": "tab"})["handle"]
        browser.call("POST", "/window", {"handle": second})
        browser.open(f"http://localhost:{server.port}/")
        console.run("document.querySelector('input').focus()")
        browser.press(*"Bake", "Enter")
        console.wait(f"{items}[0] === 'Bake'")
        browser.call("POST", "/window", {"handle": first})
        console.wait(f"{items}[0] === 'Bake'")
        console.run("document.querySelector('li').click()")
        console.wait(f"{items}.length === 0")
        browser.call("POST", "/window", {"handle": second})
        console.wait(f"{items}.length === 0")
        browser.call("DELETE", "/window")
        browser.call("POST", "/window", {"handle": first})

    report.check("the README's application is shared by two tabs", is_shared)
    server.end()


def sha256_of(server_program, token):
    told = subprocess.run([server_program, "--hash-token"], input=token, text=True, capture_output=True, check=True)
    return told.stdout.split("sha256:")[1].split()[0]


def test_access(report, browser):
    program = os.environ["KV_SERVER_PROGRAM"]
    admin = "a-token-of-the-tests-own"
    tokens = [f"{{name: reader, sha256: {sha256_of(program, READER)}, read: [shared/, public/]}}",
              f"{{name: writer, sha256: {sha256_of(program, WRITER)}, read: [shared/], write: [shared/]}}",
              f"{{name: admin, sha256: {sha256_of(program, admin)}, read: [''], write: ['']}}"]
    server = Server(f"access: {{tokens: [{', '.join(tokens)}]}}\n")
    console = Console(browser, server)
    for key in "shared/a", "secret/b":
        server.request("PUT", f"/storage/{key}", '{"value": 1}', {"Authorization": f"Bearer {admin}"})

    def use(token):
        console.run("document.getElementById('token-dialog').open || document.getElementById('token').click()")
        console.run("type(document.getElementById('token-text'), arguments[0])", token)
        console.run("document.querySelector('#token-dialog [value=use]').click()")

    def asks():
        console.open()
        console.wait("document.getElementById('token-dialog').open")
        console.picture("token")

    def reads_only():
        use(READER)
        console.wait("!!row('shared/') && rows().length === 1")
        console.click("shared/")
        console.click("a")
        console.wait("part('rights')?.textContent.startsWith('read only')")
        assert console.run("part('edit').disabled && part('delete').disabled")
        console.browser.press("e")
        assert console.run("part('editor').hidden")
        assert console.run("document.getElementById('figures').hidden"), "figures need a right"

    def follows_what_is_granted():
        server.request("PUT", "/storage/shared/a", '{"value": 2}', {"Authorization": f"Bearer {admin}"})
        server.request("PUT", "/storage/secret/b", '{"value": 2}', {"Authorization": f"Bearer {admin}"})
        console.wait("part('text').textContent === '2'")
        console.wait("feed().length === 1 && feed()[0].querySelector('.name').textContent === 'shared/a'")

    def writes():
        use(WRITER)
        console.wait("part('edit') && !part('edit').disabled")
        expect(console.run("part('rights').textContent"), "")

    def is_kept():
        console.open()
        console.wait("!!row('shared/')")
        expect(console.run("document.getElementById('token-dialog').open"), False)
        console.run("sessionStorage.clear()")

    report.check("a server with rules asks for a token", asks)
    report.check("a token that may not write makes the console read only", reads_only)
    report.check("what the token may read is followed, and nothing else", follows_what_is_granted)
    report.check("a token that may write can edit", writes)
    report.check("the token is kept for the tab", is_kept)
    server.end()


def main():
    if shutil.which("chromedriver") is None:
        print("1..0 # SKIP there is no chromedriver (Debian: chromium-driver)")
        return 77
    server = Server("limits: {depth: 2000}\nsinks: [{module: file, options: {path: %folder/changes.jsonl}}]\n",
                    options="max_bytes: 1GiB")
    report = Report()
    try:
        browser = Browser()
        try:
            browser.resize(1440, 860)
            console = Console(browser, server)
            fill(console)
            test_tree(report, console)
            test_value(report, console)
            test_changes(report, console)
            test_keyboard(report, console)
            test_pictures(report, console)
            test_hostile(report, console)
            test_many(report, console)
            test_access(report, browser)
            test_readme(report, browser)
        finally:
            browser.close()
    finally:
        server.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())

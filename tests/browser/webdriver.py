"""The part of WebDriver (W3C) that the browser tests need: headless Chromium, by chromedriver."""
import base64
import http.client
import json
import re
import subprocess

import processes


KEYS = {"Control": "\ue009", "Enter": "\ue007", "Escape": "\ue00c", "ArrowUp": "\ue013",
        "ArrowDown": "\ue015", "ArrowLeft": "\ue012", "ArrowRight": "\ue014", "End": "\ue010",
        "Home": "\ue011"}


class Browser:
    """One browser with one page. Names that end in `.example` lead to this machine."""

    def __init__(self):
        self.driver = processes.start(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        for line in self.driver.stdout:
            started = re.search(r"started successfully on port (\d+)", line)
            if started:
                self.port = int(started.group(1))
                break
        else:
            raise SystemExit("chromedriver ended before it listened")
        # Chromium ends with its pipe to chromedriver, also if that is killed.
        arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     "--remote-debugging-pipe", "--host-resolver-rules=MAP *.example 127.0.0.1"]
        self.session = ""
        self.session = self.call("POST", "", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": arguments}}}})["sessionId"]
        self.call("POST", "/timeouts", {"script": 120000, "pageLoad": 120000})

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=180)
        try:
            prefix = f"/session/{self.session}" if self.session else "/session"
            connection.request(method, prefix + path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(f"{path}: {value['error']}: {value['message'].splitlines()[0]}")
        return value

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def reload(self):
        self.call("POST", "/refresh", {})

    def run(self, script, *arguments):
        """Runs the body of a function in the page, and returns its result, promises resolved."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, *keys, control=False):
        """Presses keys in sequence: characters, or names of KEYS."""
        held = [{"type": "keyDown", "value": KEYS["Control"]}] if control else []
        strokes = [{"type": kind, "value": KEYS.get(key, key)}
                   for key in keys for kind in ("keyDown", "keyUp")]
        released = [{"type": "keyUp", "value": KEYS["Control"]}] if control else []
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard",
                                                    "actions": held + strokes + released}]})

    def command(self, name, **parameters):
        """Runs a command of the browser (Chrome DevTools Protocol)."""
        return self.call("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def resize(self, width, height):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height,
                     deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme):
        self.command("Emulation.setEmulatedMedia",
                     features=[{"name": "prefers-color-scheme", "value": scheme}])

    def take_picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def read_log(self):
        """The errors logged by the page."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]

    def set_offline(self, is_offline):
        """Sets whether the page is online (`navigator.onLine`) and may fetch; open connections stay."""
        self.call("POST", "/chromium/network_conditions", {"network_conditions": {
            "offline": is_offline, "latency": 0, "download_throughput": -1,
            "upload_throughput": -1}})

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(60)
            self.driver.stdout.close()

// The server in the script of core/web/conformance; this test plays the client. Prints TAP.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, matches, scenarios } from "./play.mjs";
import { digestOf, ISSUER, Server, tokenOf, WebSocket, until } from "./support.mjs";

// The token of the other client, which has all rights.
const OTHER = "a-token-of-the-other-client";
// The server's configuration with which a flood collapses, and the size of a flood's writes.
const NARROW = "limits: {unsent_per_connection: 4KiB}\n";
const FLOOD = { messages: 64, bytes: 1000 };

const accessFor = prefixes => ISSUER(...prefixes) + `  tokens: [{name: other, read: [""], write: [""], sha256: ${digestOf(OTHER)}}]\n`;

class Connection {
  answers = new Map();
  messages = [];

  async open(server, token) {
    this.socket = new WebSocket(server.url.replace("http", "ws") + "/ws");
    this.socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.id === undefined) this.messages.push(message);
      else this.answers.set(message.id, message);
    };
    await new Promise((resolve, reject) => Object.assign(this.socket, { onopen: resolve, onerror: reject }));
    if (token) {
      this.send(0, { type: "auth", payload: { token } });
      assert.equal((await this.answer(0)).type, "ok");
    }
    return this;
  }

  send(id, message) {
    this.socket.send(JSON.stringify({ ...message, id }));
  }

  async answer(id) {
    await until(() => this.answers.has(id), `an answer to ${id}`);
    return this.answers.get(id);
  }

  async receive() {
    await until(() => this.messages.length, "a message");
    return this.messages.shift();
  }

  // Skips received messages up to the first expected one. Returns: whether there is one.
  skip(isIt) {
    while (this.messages.length && !isIt(this.messages[0])) this.messages.shift();
    return this.messages.length > 0;
  }

  close() {
    this.socket.onerror = () => {};
    this.socket.close();
  }
}

class Play {
  variables = new Map();
  ids = [];
  n = 0;

  constructor({ allow, steps }) {
    this.allow = allow;
    this.isFlooded = steps.some(({ flood }) => flood);
  }

  async begin() {
    const more = this.allow ? accessFor(this.allow) : "";
    this.server = await new Server(more + (this.isFlooded ? NARROW : "")).start();
    await this.connect();
  }

  async connect() {
    this.one?.close();
    this.ids = [];
    this.one = await new Connection().open(this.server);
    await this.leave();
  }

  async leave() {
    this.another?.close();
    this.another = await new Connection().open(this.server, this.allow && OTHER);
  }

  filled(value) {
    return fill(value, this.variables, name => this.choose(name));
  }

  // Chooses a token; a client has all other values from the server.
  choose(name) {
    const seconds = { $good: 600, $soon: 30 }[name];
    if (seconds) return tokenOf("ann", seconds);
    return name === "$bad" ? "nonsense" : assert.fail(`${name} has no value yet`);
  }

  // Changes a key faster than the changes can be sent, until the server omits states.
  async flood(key) {
    const isCollapsed = ({ payload }) => payload.collapsed;
    await until(async () => {
      const values = Array.from({ length: FLOOD.messages }, (_, n) => `${n} `.padEnd(FLOOD.bytes, "x"));
      const body = JSON.stringify(values.map(value => ({ type: "set", payload: { key, value } })));
      assert.equal((await fetch(`${this.server.url}/batch`, { method: "POST", body })).status, 200);
      return this.one.skip(isCollapsed);
    }, "a change that is collapsed");
  }

  setAllowed(prefixes) {
    this.server.more = accessFor(prefixes);
    this.server.configure();
    this.server.process.kill("SIGHUP");
  }

  expect(pattern, message) {
    assert.ok(matches(pattern, message, this.variables), `${JSON.stringify(message)} is not ${JSON.stringify(pattern)}`);
  }

  async perform({ send, answer, receive, other, flood, allow, leave, drop, restart }) {
    if (send) {
      this.ids.push(++this.n);
      this.one.send(this.n, this.filled(send));
    }
    if (answer) this.expect(answer, await this.one.answer(this.ids.shift()));
    if (receive) this.expect(receive, await this.one.receive());
    if (other) {
      this.another.send(++this.n, this.filled(other));
      await this.another.answer(this.n);
    }
    if (flood) await this.flood(flood);
    if (allow) this.setAllowed(allow);
    if (leave) await this.leave();
    if (restart) await this.server.restart();
    if (drop || restart) await this.connect();
  }

  async end() {
    this.one?.close();
    this.another?.close();
    await this.server.end();
  }
}

for (const { name, steps, ...setting } of scenarios()) {
  test(name, { timeout: 60000 }, async () => {
    const play = new Play({ steps, ...setting });
    try {
      await play.begin();
      for (const step of steps) await play.perform(step);
    } finally {
      await play.end();
    }
  });
}

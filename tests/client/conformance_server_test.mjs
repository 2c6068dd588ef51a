// The server in the play of core/web/conformance, in which this test speaks the client's part. Prints TAP.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, matches, scenarios } from "./play.mjs";
import { Server, WebSocket, until } from "./support.mjs";

class Connection {
  answers = new Map();
  messages = [];

  async open(server) {
    this.socket = new WebSocket(server.url.replace("http", "ws") + "/ws");
    this.socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.id === undefined) this.messages.push(message);
      else this.answers.set(message.id, message);
    };
    await new Promise((resolve, reject) => Object.assign(this.socket, { onopen: resolve, onerror: reject }));
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

  close() {
    this.socket.onerror = () => {};
    this.socket.close();
  }
}

class Play {
  variables = new Map();
  ids = [];
  n = 0;

  async begin() {
    this.server = await new Server().start();
    await this.connect();
  }

  async connect() {
    this.one?.close();
    this.another?.close();
    this.ids = [];
    [this.one, this.another] = [await new Connection().open(this.server), await new Connection().open(this.server)];
  }

  filled(value) {
    return fill(value, this.variables, name => assert.fail(`${name} has no value yet`));
  }

  expect(pattern, message) {
    assert.ok(matches(pattern, message, this.variables), `${JSON.stringify(message)} is not ${JSON.stringify(pattern)}`);
  }

  async perform({ send, answer, receive, other, drop, restart }) {
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
    if (restart) await this.server.restart();
    if (drop || restart) await this.connect();
  }

  async end() {
    this.one?.close();
    this.another?.close();
    await this.server.end();
  }
}

for (const { name, steps } of scenarios()) {
  test(name, { timeout: 60000 }, async () => {
    const play = new Play();
    try {
      await play.begin();
      for (const step of steps) await play.perform(step);
    } finally {
      await play.end();
    }
  });
}

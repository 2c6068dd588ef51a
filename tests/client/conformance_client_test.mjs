// The client in the script of core/web/conformance; this test plays the server. Prints TAP.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../../core/web/client/client.js";
import { fill, matches, scenarios } from "./play.mjs";
import { FAST, until } from "./support.mjs";

// A server for the script, instead of the network.
class Stage {
  received = [];
  // If there are tokens, the script names them.
  hasTokens = false;
  unanswered = [];
  revision = 1000;

  choose(name) {
    return /^\$\d+$/.test(name) ? ++this.revision : `text of ${name}`;
  }

  socket() {
    const stage = this;
    return class {
      bufferedAmount = 0;

      constructor() {
        stage.current = this;
        queueMicrotask(() => this.onopen?.());
      }

      send(text) {
        const message = JSON.parse(text);
        if (message.type === "auth" && !stage.hasTokens) this.give({ type: "ok", id: message.id, payload: {} });
        else if (message.type === "hello") this.give({ type: "hello", id: message.id, payload: { limits: {} } });
        else stage.received.push(message);
      }

      give(message) {
        setImmediate(() => this.onmessage?.({ data: JSON.stringify(message) }));
      }

      close() {}
    };
  }

  drop() {
    this.received = [];
    this.unanswered = [];
    this.current.onclose?.({ code: 1006, reason: "" });
  }
}

const CALLS = {
  get: (kv, { key }) => kv.get(key),
  set: (kv, { key, value, ttl, if_absent: ifAbsent, if_revision: ifRevision, while_connected: whileConnected }) =>
    kv.set(key, value, { ttl, ifAbsent, ifRevision, whileConnected }),
  delete: (kv, { key, if_revision: ifRevision }) => kv.delete(key, { ifRevision }),
  touch: (kv, { key, ttl }) => kv.touch(key, ttl),
  increment: (kv, { key, by }) => kv.increment(key, by),
  merge: (kv, { key, patch }) => kv.merge(key, patch),
};

class Play {
  stage = new Stage();
  variables = new Map();
  calls = new Map();

  constructor({ tokens = [] }) {
    const left = this.filled(tokens);
    this.stage.hasTokens = left.length > 0;
    const token = this.stage.hasTokens ? () => (left.length > 1 ? left.shift() : left[0]) : undefined;
    this.kv = connect("ws://play/ws", { WebSocket: this.stage.socket(), timing: FAST, token });
  }

  filled(value) {
    return fill(value, this.variables, name => this.stage.choose(name));
  }

  async perform(step) {
    const { stage, calls, variables } = this;
    if (step.do === "map") calls.set(step.as, this.kv.map(step.with));
    else if (step.do) {
      const call = CALLS[step.do](this.kv, this.filled(step.with));
      calls.set(step.as, call.then(result => ({ result }), error => ({ error })));
    }
    if (step.send) {
      await until(() => stage.received.length, `it sends ${JSON.stringify(step.send)}`);
      const message = stage.received.shift();
      assert.ok(matches(step.send, message, variables), `${JSON.stringify(message)} is not ${JSON.stringify(step.send)}`);
      stage.unanswered.push(message.id);
    }
    if (step.answer) stage.current.give({ ...this.filled(step.answer), id: stage.unanswered.shift() });
    if (step.receive) stage.current.give(this.filled(step.receive));
    if (step.drop || step.restart) stage.drop();
    if (step.done) await this.conclude(calls.get(step.done), step);
    if (step.map) await this.compare(calls.get(step.map), this.filled(step.has));
  }

  async conclude(call, step) {
    // A map that has ended.
    if (call.ready) await until(() => call.error, "the map ends");
    const { result, error } = await call;
    if ("error" in step) return assert.equal(error?.status, step.error);
    assert.equal(error, undefined);
    if ("result" in step) assert.ok(matches(step.result, result, this.variables), JSON.stringify(result));
  }

  async compare(map, expected) {
    const contents = () => JSON.stringify([...map].sort());
    const wanted = JSON.stringify(Object.entries(expected).sort());
    await new Promise(setImmediate); // what was given before has arrived
    await until(() => contents() === wanted, `the map is ${wanted}`);
  }
}

for (const { name, steps, ...setting } of scenarios()) {
  test(name, { timeout: 60000 }, async () => {
    const play = new Play(setting);
    try {
      for (const step of steps) await play.perform(step);
    } finally {
      play.kv.close();
    }
  });
}

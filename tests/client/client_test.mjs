// The client in Node against a server of its own, over a network that fails. Prints TAP.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, KvConflict, KvError, KvForbidden, KvUnavailable } from "../../core/web/client/client.js";
import { FAST, digestOf, ISSUER, Relay, Server, WebSocket, sleep, tokenOf, until } from "./support.mjs";

const open = (target, options) => connect(target.url, { WebSocket, timing: FAST, ...options });
const collect = async list => {
  const all = [];
  for await (const one of list) all.push(one);
  return all;
};

// A test with a server, a relay to it, and clients that are closed at the end.
function withServer(name, run, { more, store } = {}) {
  test(name, async () => {
    const server = await new Server(more, store).start();
    const relay = await new Relay(server).start();
    const clients = [];
    const client = (options, target = relay) => {
      const kv = open(target, options);
      clients.push(kv);
      return kv;
    };
    try {
      await run({ server, relay, client });
    } finally {
      for (const kv of clients) kv.close();
      relay.end();
      await server.end();
    }
  });
}

withServer("requests do what they say", async ({ client }) => {
  const kv = client();
  const { revision } = await kv.set("a/1", { n: 1 }, { ttl: "1 hour" });
  const entry = await kv.get("a/1");
  assert.deepEqual([entry.key, entry.value, entry.revision], ["a/1", { n: 1 }, revision]);
  assert.ok(entry.ttl > 3590000 && entry.expires > Date.now());
  assert.equal(await kv.get("none"), null);
  await assert.rejects(kv.set("a/1", 2, { ifAbsent: true }), KvConflict);
  await assert.rejects(kv.set("a/1", 2, { ifRevision: 1 }), { name: "KvConflict", status: 412 });
  await assert.rejects(kv.delete("a/1", { ifRevision: 1 }), KvConflict);
  await kv.set("a/1", { n: 2 }, { ifRevision: revision });
  assert.deepEqual((await kv.merge("a/1", { m: [1] })).value, { n: 2, m: [1] });
  assert.equal((await kv.increment("n", 5n)).value, 5);
  assert.equal((await kv.increment("n")).value, 6);
  await assert.rejects(kv.increment("a/1"), { status: 409 });
  assert.equal(await kv.touch("n", "1m"), true);
  assert.equal(await kv.touch("none", "1m"), false);
  await kv.delete("n");
  assert.equal(await kv.get("n"), null);
  await assert.rejects(async () => kv.set("a/1", undefined), TypeError);
  await assert.rejects(kv.set("a/1", 1, { ttl: "soon" }), { name: "KvError", status: 400 });
});

withServer("updates compare and set until they hold, and keep the deadline", async ({ client }) => {
  const clients = [client(), client(), client()];
  await clients[0].set("n", 0, { ttl: "1h" });
  await Promise.all(clients.flatMap(kv => Array.from({ length: 10 }, () => kv.update("n", n => n + 1))));
  const { value, ttl } = await clients[0].get("n");
  assert.equal(value, 30);
  assert.ok(ttl > 3000000);
  assert.equal((await clients[0].update("new", value => value ?? "first")).value, "first");
  assert.equal(await clients[0].update("none", () => undefined), null);
});

withServer("raw values are the exact text", async ({ client }) => {
  const kv = client(), text = '{"b": 1.00000000000000000001, "a":123456789012345678901,"a":"\\"value\\":"}';
  await kv.set('k"value":', text, { raw: true });
  assert.equal((await kv.get('k"value":', { raw: true })).value, text);
  assert.deepEqual((await collect(kv.list({ prefix: "k", values: true }, { raw: true }))).map(({ value }) => value), [text]);
  await assert.rejects(kv.set("k", '1},"x":{', { raw: true }), SyntaxError);
  const map = client({ raw: true }).map({ prefix: "k" });
  await map.ready;
  assert.equal(map.get('k"value":'), text);
});

withServer("lists go through pages, and fold", async ({ client }) => {
  const kv = client();
  await Promise.all(Array.from({ length: 25 }, (_, i) => kv.set(`l/${i % 3}/${String(i).padStart(2, "0")}`, i)));
  const keys = (await collect(kv.list({ prefix: "l/", limit: 4 }))).map(({ key }) => key);
  assert.equal(keys.length, 25);
  assert.deepEqual(keys, [...keys].sort());
  assert.deepEqual(await collect(kv.list({ prefix: "l/", delimiter: "/" })), [0, 1, 2].map(i => ({ prefix: `l/${i}/` })));
  assert.equal((await collect(kv.list({ prefix: "l/0/", values: true })))[1].value, 3);
});

withServer("a message that is too long is refused here, and the connection stays", async ({ client }) => {
  const kv = client();
  await assert.rejects(kv.set("long", "é".repeat(6000)), { name: "KvError", status: 413 });
  await kv.set("short", "é".repeat(4000));
  assert.equal(kv.state, "open");
}, { more: "limits: {message: 10KiB, value: 9KiB}\n" });

withServer("signals end what they are given to", async ({ client, relay }) => {
  const kv = client();
  await kv.set("s/1", 1);
  const aborted = AbortSignal.abort(new Error("over"));
  await assert.rejects(kv.get("s/1", { signal: aborted }), /over/);
  assert.throws(() => kv.map({ prefix: "s/" }, { signal: aborted }), /over/);
  const states = [];
  relay.stall();
  const control = new AbortController();
  const { signal } = control;
  const waiting = [kv.get("s/1", { signal }), kv.set("s/1", 2, { signal }), kv.delete("s/1", { signal }), kv.touch("s/1", 0, { signal }),
    kv.increment("s/n", 1, { signal }), kv.merge("s/1", {}, { signal }), kv.update("s/1", n => n + 1, { signal }),
    collect(kv.list({ prefix: "s/" }, { signal })), kv.watch({ prefix: "s/" }, { signal }).next()];
  const map = kv.map({ prefix: "s/" }, { signal });
  setTimeout(() => control.abort(new Error("enough")), 20);
  await Promise.all([...waiting.map(one => assert.rejects(one, /enough/)), assert.rejects(map.ready, /closed/)]);
  relay.mend();
  client({ signal: AbortSignal.timeout(1) }).onState(state => states.push(state));
  await until(() => states.includes("closed"));
});

withServer("maps, callbacks and watches follow", async ({ client }) => {
  const kv = client(), other = client(), seen = [], states = [];
  await other.set("f/0", 0);
  const map = kv.map({ prefix: "f/" });
  map.subscribe(change => seen.push(change.type));
  await map.ready;
  assert.deepEqual([...map], [["f/0", 0]]);
  const off = kv.on("f/1", entry => states.push(entry && entry.value));
  await until(() => states.length === 1);
  const watch = kv.watch({ prefix: "f/" });
  await other.set("f/1", 1);
  await other.set("f/1", 2, { ttl: 50 });
  await other.delete("f/0");
  await until(() => seen.includes("expire"));
  await until(() => states.length === 4);
  assert.deepEqual(states, [null, 1, 2, null]);
  const changes = [];
  for await (const { type, key, value } of watch) if (changes.push([type, key, value]) === 4) break;
  const [deleted] = changes.splice(changes.findIndex(([type]) => type === "delete"), 1);
  assert.deepEqual(deleted, ["delete", "f/0", undefined]);
  assert.deepEqual(changes, [["set", "f/1", 1], ["set", "f/1", 2], ["expire", "f/1", undefined]]);
  assert.equal(map.size, 0);
  off();
  map.close();
  await other.set("f/1", 3);
  await kv.get("f/1");
  assert.deepEqual([states.length, map.size], [4, 0]);
});

withServer("a map joins a watch, and a watch a map, without missing anything", async ({ client }) => {
  const kv = client(), other = client();
  const watch = kv.watch({ prefix: "j/" });
  await kv.set("j/1", 1);
  const map = kv.map({ prefix: "j/" });
  await other.set("j/2", 2);
  await map.ready;
  const late = kv.watch({ prefix: "j/" });
  await other.set("j/3", 3);
  for (const value of [1, 2, 3]) assert.equal((await watch.next()).value.value, value);
  const { value } = await late.next(); // perhaps that of before, as it may have been on its way
  assert.equal(value.value === 2 ? (await late.next()).value.value : value.value, 3);
  await until(() => map.size === 3);
});

withServer("a watch that is behind keeps the newest of each key, or ends", async ({ client }) => {
  const kv = client(), few = kv.watch({ prefix: "w/" }, { buffer: 5 }), tooMany = kv.watch({ prefix: "w/" }, { buffer: 2 });
  const map = kv.map({ prefix: "w/" });
  for (let i = 0; i < 30; i++) await kv.set(`w/${i % 4}`, i);
  await until(() => map.get("w/1") === 29);
  const last = new Map();
  while (last.get("w/1")?.value !== 29) {
    const { value } = await few.next();
    last.set(value.key, value);
  }
  assert.deepEqual([0, 1, 2, 3].map(i => last.get(`w/${i}`).value), [28, 29, 26, 27]);
  assert.ok(last.get("w/3").collapsed);
  await assert.rejects(tooMany.next(), KvError);
});

withServer("what is on the way when the connection is lost", async ({ client, relay, server }) => {
  const reject = client(), queue = client({ offline: "queue" }), direct = client({}, server);
  await Promise.all([reject.set("o/1", 1), queue.set("o/2", 1)]);
  relay.stall();
  const read = reject.get("o/1"), held = [queue.set("o/2", 2), queue.set("o/2", 3)];
  const refused = { name: "KvUnavailable", ambiguous: true };
  await Promise.all([reject.set("o/1", 2), queue.increment("o/n")].map(write => assert.rejects(write, refused)));
  relay.cut();
  await until(() => reject.state === "offline" && queue.state === "offline");
  const watch = direct.watch({ key: "o/3" });
  await direct.get("o/1"); // the watch has begun
  const offline = [queue.set("o/3", 1), queue.set("o/3", 2), queue.delete("o/2")];
  relay.mend();
  assert.equal((await read).value, 1);
  await Promise.all([...held, ...offline]);
  assert.equal((await direct.get("o/3")).value, 2);
  assert.equal(await direct.get("o/2"), null);
  assert.equal((await watch.next()).value.value, 2); // only the newest was sent
});

withServer("while it is offline, writes are rejected at once or held, up to a limit", async ({ client, relay }) => {
  const reject = client(), queue = client({ offline: "queue", maxQueued: 1000 });
  await Promise.all([reject.get("x"), queue.get("x")]);
  relay.cut();
  await until(() => reject.state === "offline" && queue.state === "offline");
  const signal = AbortSignal.timeout(50); // reads wait as long as they are let
  const waiting = reject.get("x", { signal });
  await until(() => reject.state === "offline");
  await assert.rejects(reject.set("x", 1), { name: "KvUnavailable", ambiguous: undefined });
  await assert.rejects(waiting, { name: "TimeoutError" });
  const writes = Promise.allSettled(Array.from({ length: 40 }, (_, i) => queue.set(`q/${i}`, i)));
  relay.mend();
  const results = (await writes).map(({ status }) => status);
  assert.ok(results.includes("fulfilled") && results.includes("rejected"));
});

withServer("a conditional write that may have been made says so", async ({ client, relay, server }) => {
  const kv = client(), direct = client({}, server);
  const { revision } = await kv.set("c", 1);
  relay.loseAnswers();
  const write = kv.set("c", 2, { ifRevision: revision });
  await until(async () => (await direct.get("c")).value === 2);
  relay.cut();
  relay.mend();
  await assert.rejects(write, { name: "KvConflict", ambiguous: true });
  assert.equal((await direct.get("c")).value, 2);
});

withServer("a lease comes back with the connection, a lock does not", async ({ client, relay, server }) => {
  const kv = client(), direct = client({}, server);
  const map = direct.map({ prefix: "here/" });
  await kv.set("here/me", 1, { ttl: "10s", whileConnected: true });
  await kv.set("here/lock", 1, { ttl: "10s", whileConnected: true, ifAbsent: true });
  await until(() => map.size === 2);
  relay.cut();
  await until(() => map.size === 0);
  relay.mend();
  await until(() => map.has("here/me"));
  await kv.get("here/me");
  assert.equal(map.size, 1);
});

withServer("a map is replaced in one step when its past is not known", async ({ client, server }) => {
  const kv = client(), changes = [];
  await kv.set("r/old", 1);
  const map = kv.map({ prefix: "r/" }), watch = kv.watch({ prefix: "r/" });
  await map.ready;
  map.subscribe(({ type }) => changes.push([type, [...map.keys()].sort().join()]));
  await server.restart(); // another epoch
  await Promise.all([server.request("PUT", "r/a", { value: 1 }), server.request("PUT", "r/b", { value: 1 })]);
  await until(() => map.synced && map.size === 2);
  assert.equal((await watch.next()).value.type, "reset");
  for (const [type, keys] of changes) assert.ok(!keys.includes("old") || type === "synced", `${type} ${keys}`);
  assert.ok(changes.some(([type]) => type === "reset"));
});

withServer("what a closed map knew is not taken for the present after a reset", async ({ client, server }) => {
  const kv = client();
  await kv.set("z/old", 1);
  const watch = kv.watch({ prefix: "z/" }), map = kv.map({ prefix: "z/" });
  await map.ready;
  map.close();
  await server.restart();
  assert.equal((await watch.next()).value.type, "reset");
  await until(() => kv.state === "open");
  await kv.get("z/old"); // answered behind the reset's state
  await server.request("PUT", "z/new", { value: 1 });
  assert.equal((await watch.next()).value.key, "z/new");
  const another = kv.map({ prefix: "z/" });
  await another.ready;
  assert.deepEqual([...another.keys()], ["z/new"]);
});

withServer("subscriptions beyond the limit are refused, and the others stay", async ({ client }) => {
  const kv = client();
  const maps = Array.from({ length: 12 }, (_, i) => kv.map({ key: `k${i}` }));
  const results = await Promise.allSettled(maps.map(map => map.ready));
  assert.deepEqual(results.map(({ status }) => status === "fulfilled"), maps.map((_, i) => i < 10));
  assert.equal(results[11].reason.status, 400);
  assert.equal(maps[11].error, results[11].reason);
  await new Promise(resolve => kv.on("k12", () => {}, { onError: resolve }));
  await kv.set("k9", 1);
  await until(() => maps[9].get("k9") === 1);
}, { more: "limits: {subscriptions_per_connection: 10}\n" });

// ---- tokens ----

const PER_USER = ISSUER("{sub}/");

withServer("tokens are fetched when they are needed, and renewed before they expire", async ({ client }) => {
  const seconds = [2, 600];
  let n = 0;
  const kv = client({ token: async () => tokenOf("ann", seconds[n++]) });
  const map = kv.map({ prefix: "ann/" });
  await map.ready;
  await until(() => n === 2);
  await kv.set("ann/1", 1);
  await until(() => map.size === 1);
  await assert.rejects(kv.get("bob/1"), KvForbidden);
  const bad = kv.map({ prefix: "bob/" });
  await assert.rejects(bad.ready, KvForbidden);
  assert.equal((await collect(kv.list({ prefix: "ann/" }))).length, 1);
  assert.equal(n, 2);
}, { more: PER_USER });

withServer("a token that is refused is replaced; without a good one, requests are refused", async ({ client }) => {
  let n = 0;
  const kv = client({ token: () => (n++ ? tokenOf("ann", 600) : "nonsense") });
  await kv.set("ann/1", 1);
  const bad = client({ token: "nonsense" });
  await assert.rejects(bad.get("ann/1"), { name: "KvForbidden", status: 401 });
  await assert.rejects(client().get("ann/1"), KvForbidden);
  await assert.rejects(collect(bad.list()), KvForbidden);
}, { more: PER_USER });

withServer("a connection whose token is taken away comes back with another one", async ({ client, server }) => {
  const allow = token => {
    server.more = `access: {tokens: [{name: one, read: [""], write: [""], sha256: ${digestOf(token)}}]}\n`;
    server.configure();
    server.process.kill("SIGHUP");
  };
  let token = "first-token-of-this-test";
  allow(token);
  const kv = client({ token: () => token, offline: "queue" });
  const map = kv.map({ prefix: "" });
  await map.ready;
  const closed = new Promise(resolve => kv.onState((state, error) => error?.code === 3000 && resolve()));
  token = "second-token-of-this-test";
  allow(token);
  await closed;
  await kv.set("t", 1);
  await until(() => map.get("t") === 1);
}, { more: "access: {}\n" });

withServer("many mirrors of many clients are those of the store", async ({ client, server }) => {
  const clients = Array.from({ length: 200 }, () => client());
  const maps = clients.map((kv, i) => kv.map({ prefix: `m/${i % 10}/` }));
  await Promise.all(maps.map(map => map.ready));
  await Promise.all(Array.from({ length: 300 }, (_, i) => clients[i % 200].set(`m/${i % 10}/${i}`, i)));
  await until(() => maps.every(map => map.size === 30));
  const state = await server.state("m/");
  for (const map of maps) for (const [key, value] of map) assert.equal(state.get(key), value);
});

// ---- without a server ----

// Runs delayed calls at once. Returns: the requested delays.
function withoutWaiting(run) {
  const { setTimeout: original } = globalThis;
  const delays = [];
  globalThis.setTimeout = (callback, ms, ...more) => {
    delays.push(ms);
    return original(callback, 0, ...more);
  };
  return run(delays).finally(() => Object.assign(globalThis, { setTimeout: original }));
}

test("the pauses between attempts to connect are drawn between 0.5 s and a bound that grows to 20 s", () => withoutWaiting(async delays => {
  class Refused {
    constructor() {
      queueMicrotask(() => this.onclose({ code: 1006, reason: "" }));
    }

    close() {}
  }
  const firsts = [];
  for (let n = 0; n < 50; n++) {
    delays.length = 0;
    let attempts = 0;
    const kv = connect("http://localhost", { WebSocket: Refused });
    await new Promise(resolve => kv.onState(state => state === "connecting" && ++attempts === 12 && resolve()));
    kv.close();
    const pauses = delays.filter(ms => ms !== 20000); // that of an attempt itself
    firsts.push(pauses[0]);
    pauses.forEach((ms, i) => assert.ok(ms >= 500 && ms <= Math.min(20000, 2000 * 2 ** i), `pause ${i} is ${ms} ms`));
    assert.ok(Math.max(...pauses) > 3000, "the pauses do not grow");
  }
  assert.ok(Math.max(...firsts) - Math.min(...firsts) > 500, "clients come back at the same time");
}));

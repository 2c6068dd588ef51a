// Mirrors, while the server is killed or shut down, the network fails, and a client sleeps: in the end, each equals
// the store. Each test lasts KV_TEST_SECONDS, or 8; with KV_TEST_LENGTH=short, 2. Prints TAP.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { connect } from "../../core/web/client/client.js";
import { FAST, ISSUER, Relay, Server, WebSocket, sleep, tokenOf, until } from "./support.mjs";

const SECONDS = process.env.KV_TEST_LENGTH === "short" ? 2 : Number(process.env.KV_TEST_SECONDS ?? 8);
const PREFIXES = ["", "p/", "p/1", "p/2", "q/"];
const open = (url, options) => connect(url, { WebSocket, timing: FAST, ...options });
const any = list => list[Math.floor(Math.random() * list.length)];

// Writes until it is stopped, whether it succeeds or not.
async function write(kv, name, shared) {
  for (let n = 0; !shared.isOver; n++) {
    const key = `${any("pq")}/${Math.floor(Math.random() * 30)}`;
    const kind = Math.random();
    const done = kind < 0.3 ? kv.delete(key) : kv.set(key, [name, n], kind < 0.5 ? { ttl: 200 } : {});
    await done.catch(() => sleep(20));
    if (n % 10 === 0) await sleep(5);
  }
}

// Changes of a key must come in order, none twice.
async function watch(kv, shared) {
  const revisions = new Map();
  for await (const { type, key, revision } of kv.watch({ prefix: "p/" }, { buffer: 1e6 })) {
    if (type === "reset") revisions.clear();
    else if (revision <= revisions.get(key)) shared.fault ??= `${key}: ${revision} after ${revisions.get(key)}`;
    else revisions.set(key, revision);
  }
}

// Opens and closes maps.
async function flicker(kv, shared) {
  while (!shared.isOver) {
    const map = kv.map({ prefix: any(PREFIXES) });
    await sleep(Math.random() * 100);
    map.close();
  }
}

async function settle(server, maps, token) {
  const kv = open(server.url, { offline: "queue", token });
  await sleep(250); // deadlines of 200 ms
  for (const prefix of PREFIXES) await kv.set(`${prefix}end`, 1);
  await until(() => maps.every(([prefix, map]) => map.synced && map.get(`${prefix}end`)), "the last change has come");
  const all = await server.state("", token?.());
  for (const [prefix, map] of maps) {
    const expected = [...all].filter(([key]) => key.startsWith(prefix)).sort();
    await until(() => map.size === expected.length, `the mirror of ${prefix} has ${expected.length} keys`);
    assert.deepEqual([...map].sort(), expected, `the mirror of ${prefix}`);
  }
  kv.close();
}

async function upset(store, more, { n = 5, token } = {}) {
  const server = await new Server(more, store).start();
  const relay = await new Relay(server).start();
  const clients = Array.from({ length: n }, () => open(relay.url, { offline: "queue", token }));
  const direct = open(server.url, { token });
  const shared = { isOver: false };
  try {
    const maps = clients.flatMap(kv => PREFIXES.map(prefix => [prefix, kv.map({ prefix })]));
    const jobs = [...clients.slice(0, 5), direct, direct].map((kv, i) => write(kv, i, shared));
    jobs.push(flicker(clients[1], shared));
    watch(clients[0], shared).catch(error => (shared.fault ??= error.message));
    const end = Date.now() + SECONDS * 1000;
    for (let n = 0; Date.now() < end; n++) {
      await sleep(200 + Math.random() * 500);
      if (n % 3 === 2) await server.restart(any(["SIGKILL", "SIGTERM"]));
      else {
        n % 3 ? relay.cut() : relay.stall();
        await sleep(Math.random() * 400);
        relay.mend();
      }
    }
    shared.isOver = true;
    await Promise.all(jobs);
    await settle(server, maps, token);
    assert.equal(shared.fault, undefined);
  } finally {
    for (const kv of [...clients, direct]) kv.close();
    relay.end();
    await server.end();
  }
}

test("mirrors of a durable store", () => upset("rocksdb", ""));
test("mirrors of a volatile store", () => upset("memory", ""));
test("mirrors with a short change log", () => upset("rocksdb", "change_log: {size: 20KiB}\n"));
test("mirrors with a small outbound limit", () => upset("memory", "limits: {unsent_per_connection: 4KiB}\n"));

// 40 clients have the mirrors of 200 tabs. Tokens are short-lived, so connections are also closed when they expire.
test("200 mirrors, with tokens that expire", () => {
  const short = () => tokenOf("any", 2 + Math.floor(Math.random() * 3));
  return upset("rocksdb", ISSUER(""), { n: 40, token: short });
});

test("a suspended client", async () => {
  const server = await new Server().start();
  const relay = await new Relay(server).start();
  const kv = open(server.url);
  const program = new URL("sleeper.mjs", import.meta.url).pathname;
  const sleeper = spawn(process.execPath, [program, relay.url], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: sleeper.stdout })[Symbol.asyncIterator]();
  try {
    await kv.set("s/before", 1);
    assert.equal((await lines.next()).value, "synced");
    for (const way of ["stall", "cut"]) {
      sleeper.kill("SIGSTOP");
      relay[way]();
      await kv.set(`s/${way}`, 1);
      await kv.delete("s/before");
      await sleep(way === "stall" ? FAST.quiet + FAST.patience + 2500 : 500); // its timers are late
      relay.mend();
      sleeper.kill("SIGCONT");
      await kv.set(`s/after-${way}`, 1);
      let keys;
      do keys = (await lines.next()).value; while (!keys.includes(`s/after-${way}`));
      assert.equal(keys, [...(await server.state("s/")).keys()].sort().join(" "));
    }
  } finally {
    sleeper.kill("SIGKILL");
    kv.close();
    relay.end();
    await server.end();
  }
});

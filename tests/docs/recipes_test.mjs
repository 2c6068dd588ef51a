// Runs the JavaScript of core/web/docs/recipes.md, unchanged, against a server. Prints TAP.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { Server, WebSocket, sleep, until } from "../client/support.mjs";

const CLIENT = new URL("../../core/web/client/client.js", import.meta.url).href;
const PAGE = new URL("../../core/web/docs/recipes.md", import.meta.url);
const SLIDING = "ttl:\n  - {module: sliding, options: {ttl: 30m, step: 1m, prefixes: [session/]}}\n";

const blocks = [...readFileSync(PAGE, "utf8").matchAll(/^```js\n(.*?)^```/gms)].map(block => block[1]);
const folder = mkdtempSync(path.join(tmpdir(), "kvserver-recipes-"));
const server = new Server(SLIDING);
let recipes, others, kv;

// The page as a module, without its single usage example, which exports nothing.
async function load(name) {
  const program = blocks.filter((block, n) => n === 0 || /^export /m.test(block)).join("\n")
    .replace("@kvserver/client", CLIENT)
    .replace(`connect("http://localhost:3000")`, `connect(${JSON.stringify(server.url)}, globalThis.recipeOptions)`)
    .concat("\nexport { kv };\n");
  const file = path.join(folder, `${name}.mjs`);
  writeFileSync(file, program);
  return import(pathToFileURL(file));
}

before(async () => {
  globalThis.recipeOptions = { WebSocket };
  globalThis.crypto ??= (await import("node:crypto")).webcrypto;
  await server.start();
  recipes = await load("one");
  others = await load("two");
  kv = recipes.kv;
});

after(async () => {
  recipes?.kv.close();
  others?.kv.close();
  server.process?.kill();
  await server.ended;
  rmSync(server.folder, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
});

const isConflict = error => error.status === 412;

test("a lock has one holder, is renewed with the same revision, and is given back", async () => {
  await recipes.withLock("lock/a", async ({ fence, signal }) => {
    await assert.rejects(others.withLock("lock/a", () => {}), isConflict);
    const before = (await kv.get("lock/a")).expires;
    await until(async () => (await kv.get("lock/a")).expires > before + 100, "it is renewed");
    assert.equal((await kv.get("lock/a")).revision, fence);
    assert.equal(signal.aborted, false);
  }, 3000);
  assert.equal(await kv.get("lock/a"), null);
});

test("a holder learns that its lock is lost, and leaves that of the next one alone", async () => {
  await recipes.withLock("lock/b", async ({ fence, signal }) => {
    await others.kv.delete("lock/b");
    const next = await others.kv.set("lock/b", "another's");
    assert.ok(next.revision > fence);
    await until(() => signal.aborted, "it learns of it");
  }, 900);
  assert.equal((await kv.get("lock/b")).value, "another's");
});

test("one candidate leads, and another one follows it", async () => {
  const log = [];
  const run = (from, name) => from.campaign("leader", name, {
    lead: ({ fence }) => log.push([name, fence]), follow: () => log.push([name, null]), ttl: 2000 });
  const first = run(recipes, "first");
  await until(() => log.length === 1, "the first leads");
  const second = run(others, "second");
  await sleep(100);
  assert.equal(log.length, 1);
  await first();
  await until(() => log.length === 3, "the second leads");
  assert.deepEqual(log.map(([name, fence]) => [name, fence !== null]), [["first", true], ["first", false], ["second", true]]);
  assert.ok(log[2][1] > log[0][1]);
  await kv.set("leader", "a usurper");
  await until(() => log.length === 4, "the second steps down");
  assert.deepEqual(log[3], ["second", null]);
  await second();
  assert.equal((await kv.get("leader")).value, "a usurper");
});

test("each job is done once, in order, and one that failed is done again", async () => {
  for (let n = 0; n < 5; n++) await recipes.enqueue({ n });
  await assert.rejects(recipes.doOneJob(() => { throw new Error("broken"); }), /broken/);
  const done = [];
  const work = async ({ n }) => { done.push(n); };
  while (await recipes.doOneJob(work));
  assert.deepEqual(done, [0, 1, 2, 3, 4]);
  for (let n = 0; n < 20; n++) await recipes.enqueue({ n });
  done.length = 0;
  const drain = async from => { while (await from.doOneJob(work)); };
  await Promise.all([drain(recipes), drain(others)]);
  await drain(recipes);
  assert.deepEqual(done.sort((a, b) => a - b), [...Array(20).keys()]);
  assert.equal((await server.state("queue/")).size, 0);
});

test("a user is present until the last connection has ended", async () => {
  const third = await load("three");
  const map = await kv.map({ prefix: "online/lobby/" }).ready;
  await others.enter("lobby", "ann");
  await third.enter("lobby", "ann");
  await third.enter("lobby", "bo");
  await until(() => map.size === 3, "all are there");
  assert.deepEqual([...recipes.present(map)].sort(), ["ann", "bo"]);
  third.kv.close();
  await until(() => map.size === 1, "two are gone");
  assert.deepEqual([...recipes.present(map)], ["ann"]);
});

test("a flag is on for its part of the users, and changes at once", async () => {
  const flags = recipes.flags();
  await flags.ready;
  assert.equal(await flags.isOn("new", "ann", true), true);
  await kv.set("flag/new", { on: true, percent: 20 });
  const share = async () => {
    let n = 0;
    for (let user = 0; user < 1000; user++) n += await flags.isOn("new", `user-${user}`);
    return n;
  };
  await until(async () => await share() > 0, "some have it");
  assert.ok(await share() > 120 && await share() < 280);
  await kv.set("flag/new", { on: false });
  await until(async () => await share() === 0, "nobody has it");
  flags.close();
});

test("a session is found by its cookie, until its user logs out", async () => {
  const cookie = await recipes.logIn("a.nn/x", { cart: [] });
  assert.deepEqual((await recipes.sessionOf(cookie)).value, { cart: [] });
  assert.equal(await recipes.sessionOf("a.nn.short"), null);
  const bo = await recipes.logIn("bo", {});
  await recipes.logOutEverywhere("a.nn/x");
  assert.equal(await recipes.sessionOf(cookie), null);
  assert.notEqual(await recipes.sessionOf(bo), null);
});

test("many readers load a row once, and none stores a row that was replaced meanwhile", async () => {
  let loads = 0, row = "old", open;
  const gate = new Promise(resolve => { open = resolve; });
  const slowly = async () => {
    const read = row;
    loads++;
    await gate;
    return read;
  };
  const readers = [recipes, others, recipes].map(from => from.cached("row/1", slowly));
  await until(() => loads === 1, "one loads");
  row = "new";
  await recipes.invalidate("row/1");
  open();
  await Promise.all(readers);
  assert.equal(await recipes.cached("row/1", slowly), "new");
  assert.equal((await kv.get("row/1")).value.row, "new");
  loads = 0;
  assert.deepEqual(await Promise.all(Array.from({ length: 10 }, () => others.cached("row/2", slowly))), Array(10).fill("new"));
  assert.equal(loads, 1);
});

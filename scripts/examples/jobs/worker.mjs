// Takes jobs, one at a time. Any number of workers can run, and each can be stopped at any time.
import { createRequire } from "node:module";
import { hostname } from "node:os";
import { setImmediate, setTimeout } from "node:timers/promises";
import { connect, KvConflict } from "../../../core/web/client/client.js";

// Node has a WebSocket since version 22; older versions need the package `ws` (Debian: node-ws).
const WebSocket = globalThis.WebSocket ?? createRequire(import.meta.url)("ws");
const kv = connect(process.env.KVSERVER_URL ?? "http://localhost:3000", { WebSocket });
const jobs = kv.map({ prefix: "queue/job/" }), claims = kv.map({ prefix: "queue/claim/" });
const name = `${hostname()}:${process.pid}`;
const MOST_ATTEMPTS = 3;

// The tasks that a job can ask for. A job may run twice, so its effects elsewhere must use its id as an
// idempotency key, and long work must check the signal.
const tasks = {
  wait: (ms, signal) => setTimeout(ms, `waited ${ms} ms`, { signal }),
  async primes(below, signal) {
    let n = 0;
    for (let i = 2; i < below; i++) {
      let divisor = 2;
      while (divisor * divisor <= i && i % divisor) divisor++;
      if (divisor * divisor > i) n++;
      if (i % 10000 === 0) await setImmediate(undefined, { signal });
    }
    return n;
  },
};

const isOpen = job => job && job.result === undefined && job.error === undefined;
const idOf = key => key.slice("queue/job/".length);
const findWaiting = () => [...jobs.keys()].sort().map(idOf)
  .find(id => isOpen(jobs.get(`queue/job/${id}`)) && !claims.has(`queue/claim/${id}`));

// Aborts when the claim is no longer this worker's: another may have the job already.
function guard(claim) {
  const lost = new AbortController(), abort = () => lost.abort(new Error("the lease is lost"));
  const offs = [
    kv.onState(state => state !== "open" && abort()),
    claims.subscribe(({ key, revision }) => key === claim.key && revision > claim.revision && abort()),
  ];
  return { signal: lost.signal, release: () => offs.forEach(off => off()) };
}

// The claim keeps other workers away. The revision of the job, which only this attempt has, makes the
// result count: a worker that is too late, with or without a claim, gets a conflict.
async function attempt(id, signal) {
  const key = `queue/job/${id}`, entry = await kv.get(key);
  if (!isOpen(entry?.value)) return;
  const job = { ...entry.value, attempts: (Number(entry.value.attempts) || 0) + 1, worker: name };
  const { revision } = await kv.set(key, job, { ifRevision: entry.revision });
  const finish = result => kv.set(key, { ...job, ...result }, { ifRevision: revision, ttl: "1 hour" });
  console.log("takes", id, "attempt", job.attempts);
  try {
    if (job.attempts > MOST_ATTEMPTS) throw new Error("too many attempts");
    if (!Object.hasOwn(tasks, job.task)) throw new Error("there is no such task");
    await finish({ result: await tasks[job.task](job.input, signal) });
    console.log("done", id);
  } catch (error) {
    if (signal.aborted || error instanceof KvConflict) throw error;
    if (job.attempts < MOST_ATTEMPTS) return setTimeout(1000 * job.attempts);
    await finish({ error: error.message });
  }
}

async function work(id) {
  const key = `queue/claim/${id}`;
  // While this process lives and is connected, the server renews the lease; when it ends, the server deletes it.
  const claim = await kv.set(key, name, { ttl: "10s", ifAbsent: true, whileConnected: true });
  const { signal, release } = guard(claim);
  try {
    await attempt(id, signal);
  } finally {
    release();
    await kv.delete(key, { ifRevision: claim.revision }).catch(() => {});
  }
}

let wake;
for (const map of [jobs, claims]) map.subscribe(() => wake?.());
await Promise.all([jobs.ready, claims.ready]);
console.log("ready", name);
for (;;) {
  const changed = new Promise(resolve => wake = resolve);
  const id = findWaiting();
  if (id === undefined) {
    await changed;
    continue;
  }
  try {
    await work(id);
  } catch (error) {
    // Another worker was faster, or the connection is lost: continue with what the maps say then.
    if (!(error instanceof KvConflict)) console.error(id, error.message);
    await setTimeout(20 + Math.random() * 200);
  }
}

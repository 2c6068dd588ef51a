// The client in any runtime: `traveller.mjs URL`. Prints `done` or the failure.
import { connect, KvConflict } from "../../core/web/client/client.js";

const url = globalThis.Deno?.args[0] ?? process.argv[2];
const WebSocket = globalThis.WebSocket ?? (await import("./support.mjs")).WebSocket;

function check(holds, text) {
  if (!holds) throw new Error(text);
}

const kv = connect(url, { WebSocket });
const map = await kv.map({ prefix: "travel/" }).ready;
const watch = kv.watch({ prefix: "travel/" });
const followed = new Promise(resolve => map.subscribe(() => map.size === 2 && resolve()));
const { revision } = await kv.set("travel/1", { text: "é" }, { ttl: "1h" });
await kv.set("travel/2", 2);
await followed;
check(map.get("travel/1").text === "é", "the map has another value");
for (const key of ["travel/1", "travel/2"]) check((await watch.next()).value.key === key, "the watch has another key");
const refused = await kv.set("travel/1", 2, { ifRevision: revision - 1 }).catch(error => error);
check(refused instanceof KvConflict, "the condition holds");
const keys = [];
for await (const { key } of kv.list({ prefix: "travel/" })) keys.push(key);
check(keys.join() === "travel/1,travel/2", `the list is ${keys}`);
for (const key of keys) await kv.delete(key);
kv.close();
console.log("done");

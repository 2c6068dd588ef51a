// Two clients, like two tabs with the README's page: `newcomer.mjs URL`. They use the client that the server serves.
import assert from "node:assert/strict";
import { WebSocket, until } from "../client/support.mjs";

const url = process.argv[2];
const text = await (await fetch(`${url}/client.js`)).text();
const { connect } = await import(`data:text/javascript,${encodeURIComponent(text)}`);

const tabs = [connect(url, { WebSocket }), connect(url, { WebSocket })];
const maps = tabs.map(kv => kv.map({ prefix: "todo/" }));
await Promise.all(maps.map(map => map.ready));
assert.deepEqual([...maps[1]], [["todo/1", "Try it"]]);
await tabs[0].set(`todo/${Date.now()}`, "Water the plants");
await until(() => maps.every(map => map.size === 2), "both show the new task");
await tabs[1].delete("todo/1");
await until(() => maps.every(map => map.size === 1), "neither shows the task that is done");
for (const kv of tabs) kv.close();

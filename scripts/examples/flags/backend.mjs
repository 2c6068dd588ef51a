// A backend that reads the flags: from memory, always up to date, without a request.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { connect } from "../../../core/web/client/client.js";
import { isOn } from "./public/rules.mjs";

// Node has a WebSocket since version 22; older versions need the package `ws` (Debian: node-ws).
const WebSocket = globalThis.WebSocket ?? createRequire(import.meta.url)("ws");
const kv = connect(process.env.KVSERVER_URL ?? "http://localhost:3000", { WebSocket });
const flags = kv.map({ prefix: "flag/" });
flags.subscribe(({ type, key, value }) => key && console.log(type, key, value ?? ""));

// While KvServer is unavailable, the last known flags hold; an unknown flag is off.
const has = (name, user) => isOn(flags.get(`flag/${name}`), name, user);

const server = createServer((request, response) => {
  const user = new URL(request.url, "http://localhost").searchParams.get("user") ?? "";
  response.end(has("new-checkout", user) ? "the new checkout\n" : "the old checkout\n");
});
server.listen(process.env.PORT ?? 8080, "127.0.0.1", () => console.log(`http://localhost:${server.address().port}`));

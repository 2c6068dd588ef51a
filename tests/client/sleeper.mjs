// A client that its parent suspends: prints the keys of a mirror whenever they change.
import { connect } from "../../core/web/client/client.js";
import { FAST, WebSocket } from "./support.mjs";

const map = connect(process.argv[2], { WebSocket, timing: FAST }).map({ prefix: "s/" });
await map.ready;
console.log("synced");
map.subscribe(() => console.log([...map.keys()].sort().join(" ")));

// For tests of the client: a server of their own, a relay whose network can fail, and waiting for conditions.
import { spawn } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, openSync, writeFileSync, closeSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

const PATIENCE_MS = 120000;

// Node has one since version 22; `ws` is another (Debian: node-ws).
function findWebSocket() {
  if (globalThis.WebSocket) return globalThis.WebSocket;
  const require = createRequire(import.meta.url);
  for (const name of ["ws", "/usr/share/nodejs/ws"]) {
    try {
      return require(name);
    } catch { /* the next one */ }
  }
  console.log("1..0 # SKIP this Node has no WebSocket, and there is no `ws` (Debian: node-ws)");
  process.exit(77);
}

export const WebSocket = findWebSocket();

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

export async function until(condition, text) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`in vain: ${text}`);
    await sleep(10);
  }
}

// A server with a folder of its own. It can be killed and restarted on the same port.
export class Server {
  constructor(more = "", store = "memory") {
    this.folder = mkdtempSync(path.join(tmpdir(), "kvserver-client-"));
    this.more = more;
    this.storage = store === "memory" ? "{module: memory}" : `{module: ${store}, ${store}: {path: ${this.folder}/data}}`;
    this.port = 0;
  }

  configure() {
    this.conf = path.join(this.folder, "kvserver.yaml");
    writeFileSync(this.conf, `listen: [{host: 127.0.0.1, port: ${this.port}}]\nmodules: ${process.env.KV_TEST_MODULES}\n` +
      `storage: ${this.storage}\nthreads: 2\n${this.more}`);
  }

  async start() {
    this.configure();
    this.log = path.join(this.folder, "log");
    const log = openSync(this.log, "w");
    this.process = spawn(process.env.KV_SERVER_PROGRAM, ["-c", this.conf], { stdio: ["ignore", log, log] });
    closeSync(log);
    this.ended = new Promise(resolve => this.process.once("exit", resolve));
    await until(() => {
      if (this.process.exitCode !== null) throw new Error(readFileSync(this.log, "utf8"));
      const text = readFileSync(this.log, "utf8");
      this.port = Number(/listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1] ?? 0);
      return this.port && / ready after/.test(text);
    }, "the server becomes ready");
    return this;
  }

  get url() { return `http://127.0.0.1:${this.port}`; }

  async restart(signal = "SIGKILL") {
    this.process.kill(signal);
    await this.ended;
    await this.start();
  }

  request(method, key, body) {
    return fetch(`${this.url}/storage/${encodeURIComponent(key)}`, { method, body: body && JSON.stringify(body) });
  }

  // All keys under a prefix and their values, over HTTP.
  async state(prefix, token) {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const state = new Map();
    let cursor = "";
    do {
      const query = new URLSearchParams({ prefix, values: true, limit: 10000, ...(cursor && { cursor }) });
      const page = await (await fetch(`${this.url}/storage?${query}`, { headers })).json();
      for (const { key, value } of page.keys) state.set(key, value);
      cursor = page.cursor;
    } while (cursor);
    return state;
  }

  async end() {
    this.process.kill("SIGKILL");
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// A network between client and server: it can be cut (`cut`), drop all data (`stall`), and refuse connections.
export class Relay {
  pairs = new Set();
  isStalled = false;
  isCut = false;
  isDeaf = false;

  constructor(target) {
    this.target = target; // has a port
    this.listener = net.createServer(near => this.#join(near));
  }

  async start() {
    await new Promise(resolve => this.listener.listen(0, "127.0.0.1", resolve));
    this.port = this.listener.address().port;
    return this;
  }

  get url() { return `http://127.0.0.1:${this.port}`; }

  #join(near) {
    if (this.isCut) return near.destroy();
    const far = net.connect(this.target.port, "127.0.0.1");
    const pair = { near, far };
    this.pairs.add(pair);
    if (this.isStalled) this.#halt(pair);
    if (this.isDeaf) far.pause();
    const end = () => {
      near.destroy();
      far.destroy();
      this.pairs.delete(pair);
    };
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on("data", chunk => other.write(chunk));
      one.on("error", end);
      one.on("close", end);
    }
  }

  #halt({ near, far }) {
    near.pause();
    far.pause();
  }

  // Ends connections, and refuses new ones until `mend`.
  cut() {
    this.isCut = true;
    for (const { near, far } of this.pairs) {
      near.destroy();
      far.destroy();
    }
  }

  // Drops all data without closing connections.
  stall() {
    this.isStalled = true;
    for (const pair of this.pairs) this.#halt(pair);
  }

  // Drops the data from the server.
  loseAnswers() {
    this.isDeaf = true;
    for (const { far } of this.pairs) far.pause();
  }

  // Stalled connections stay stalled: their packets are lost.
  mend() {
    this.isCut = this.isStalled = this.isDeaf = false;
  }

  end() {
    this.cut();
    this.listener.close();
  }
}

// Timing for tests: like the real one, but faster.
export const FAST = { connect: 3000, quiet: 300, patience: 1500, retry: [20, 300] };

// ---- tokens ----

const SECRET = "a secret of at least thirty-two bytes";
const encode = value => Buffer.from(JSON.stringify(value)).toString("base64url");

// A token of the issuer that ISSUER configures.
export function tokenOf(sub, seconds) {
  const text = `${encode({ alg: "HS256" })}.${encode({ iss: "test", sub, exp: Math.floor(Date.now() / 1000) + seconds })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

// prefixes: those that its tokens may read and write. Further lines of `access` may follow.
export const ISSUER = (...prefixes) => {
  const granted = JSON.stringify(prefixes);
  return `access:\n  jwt: [{issuer: test, secret: "${SECRET}", grants: {read: ${granted}, write: ${granted}}}]\n`;
};

// The form of a token in the configuration.
export const digestOf = token => createHash("sha256").update(token).digest("hex");

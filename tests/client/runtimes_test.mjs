// The client in a worker of Node, in Deno and in Bun, if they are installed. Prints TAP.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Server } from "./support.mjs";

const TRAVELLER = fileURLToPath(new URL("traveller.mjs", import.meta.url));
const RUNTIMES = {
  "a worker of Node": [process.execPath, "-e", `
    const { Worker } = require("node:worker_threads");
    new Worker(process.argv[1], { argv: [process.argv[2]] }).on("error", error => { throw error; });`],
  Deno: ["deno", "run", "--no-config", "--allow-net"],
  Bun: ["bun", "run"],
};

let server;
before(async () => { server = await new Server().start(); });
after(() => server.end());

function whyNot(program) {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return false;
  } catch {
    return `there is no ${program}`;
  }
}

for (const [name, [program, ...args]] of Object.entries(RUNTIMES)) {
  test(`the client works in ${name}`, { skip: whyNot(program) }, async () => {
    const { stdout } = await promisify(execFile)(program, [...args, TRAVELLER, server.url], { timeout: 60000 });
    assert.equal(stdout.trim(), "done");
  });
}

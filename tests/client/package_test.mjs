// What the server gives out, and what npm packs. Prints TAP.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as client from "../../core/web/client/client.js";
import { Server } from "./support.mjs";

const FOLDER = fileURLToPath(new URL("../../core/web/client", import.meta.url));

function withFolder(run) {
  const folder = mkdtempSync(path.join(tmpdir(), "kvserver-package-"));
  try {
    run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("the server gives out the client as a module of at most 7 KiB, compressed", async () => {
  const server = await new Server().start();
  try {
    const answer = await fetch(`${server.url}/client.js`);
    assert.match(answer.headers.get("content-type"), /^text\/javascript/);
    const text = await answer.text();
    assert.ok(gzipSync(text, { level: 9 }).length <= 7 * 1024, `${gzipSync(text, { level: 9 }).length} bytes`);
    const served = await import(`data:text/javascript,${encodeURIComponent(text)}`);
    assert.deepEqual(Object.keys(served), Object.keys(client));
  } finally {
    await server.end();
  }
});

test("the package has the version of the project", () => {
  const project = readFileSync(new URL("../../CMakeLists.txt", import.meta.url), "utf8");
  const { version } = JSON.parse(readFileSync(path.join(FOLDER, "package.json"), "utf8"));
  assert.equal(version, /^project\(kvserver VERSION ([\d.]+)/m.exec(project)[1]);
});

test("npm packs a package that can be imported", t => {
  try {
    execFileSync("npm", ["--version"]);
  } catch {
    return t.skip("there is no npm");
  }
  withFolder(folder => {
    const env = { ...process.env, npm_config_cache: `${folder}/cache`, npm_config_offline: "true" };
    const options = { cwd: folder, stdio: "pipe", env };
    const archive = execFileSync("npm", ["pack", "--silent", FOLDER], options).toString().trim();
    const files = execFileSync("tar", ["-tzf", archive], options).toString().trim().split("\n").sort();
    const expected = ["README.md", "client.d.ts", "client.js", "package.json", "react.d.ts", "react.js"];
    assert.deepEqual(files, expected.map(name => `package/${name}`));
    const home = path.join(folder, "node_modules/@kvserver/client");
    execFileSync("mkdir", ["-p", home]);
    execFileSync("tar", ["-xzf", archive, "-C", home, "--strip-components=1"], options);
    writeFileSync(path.join(folder, "try.mjs"), 'import { connect } from "@kvserver/client"; console.log(typeof connect);');
    assert.equal(execFileSync(process.execPath, ["try.mjs"], options).toString().trim(), "function");
  });
});

test("the types name what the module exports", () => {
  const types = readFileSync(path.join(FOLDER, "client.d.ts"), "utf8");
  for (const name of Object.keys(client)) assert.match(types, new RegExp(`export (function|class) ${name}\\b`));
});

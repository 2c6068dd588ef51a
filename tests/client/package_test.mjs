// The client that the server serves, the package that npm makes, and its use by an application in TypeScript. Prints TAP.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

test("the server serves the client as a module of at most 7 KiB, compressed", async () => {
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

const run = (program, args, cwd, env) => execFileSync(program, args, { cwd, stdio: "pipe", env: { ...process.env, ...env } }).toString().trim();

function whyNoNpm() {
  try {
    run("npm", ["--version"]);
    return false;
  } catch {
    return "there is no npm";
  }
}

// Packs the client, and puts it where programs in the folder find it. Returns: the files of the package.
function install(folder) {
  const offline = { npm_config_cache: `${folder}/cache`, npm_config_offline: "true" };
  const archive = run("npm", ["pack", "--silent", FOLDER], folder, offline);
  const home = path.join(folder, "node_modules/@kvserver/client");
  run("mkdir", ["-p", home]);
  run("tar", ["-xzf", archive, "-C", home, "--strip-components=1"], folder);
  return run("tar", ["-tzf", archive], folder).split("\n").sort();
}

test("npm packs a package that can be imported", { skip: whyNoNpm() }, () => withFolder(folder => {
  const expected = ["README.md", "client.d.ts", "client.js", "package.json", "react.d.ts", "react.js"];
  assert.deepEqual(install(folder), expected.map(name => `package/${name}`));
  writeFileSync(path.join(folder, "try.mjs"), 'import { connect } from "@kvserver/client"; console.log(typeof connect);');
  assert.equal(run(process.execPath, ["try.mjs"], folder), "function");
}));

test("an application in TypeScript compiles against the package, and mistakes do not", { skip: whyNoNpm() }, t => withFolder(folder => {
  const tools = path.join(folder, "tools");
  try {
    run("npm", ["install", "--prefix", tools, "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0", "typescript@5"], folder);
  } catch {
    return t.skip("npm cannot fetch TypeScript here");
  }
  install(folder);
  copyFileSync(new URL("types.ts", import.meta.url), path.join(folder, "types.ts"));
  writeFileSync(path.join(folder, "package.json"), '{"type": "module"}');
  for (const module of ["nodenext", "esnext"]) {
    const options = ["--strict", "--noEmit", "--module", module, "--moduleResolution", module === "esnext" ? "bundler" : module,
      "--target", "es2022", "--lib", "es2022,dom,dom.iterable"];
    try {
      run(process.execPath, [`${tools}/node_modules/typescript/bin/tsc`, ...options, "types.ts"], folder);
    } catch ({ stdout }) {
      assert.fail(`${module}: ${stdout}`);
    }
  }
}));

test("the types name what the module exports", () => {
  const types = readFileSync(path.join(FOLDER, "client.d.ts"), "utf8");
  for (const name of Object.keys(client)) assert.match(types, new RegExp(`export (function|class) ${name}\\b`));
});

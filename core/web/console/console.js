// The console: what is in a KvServer, live. It speaks the public protocol through the client, and has
// no right of its own. Whatever comes from the store is shown as text, and never becomes markup.
import { connect, KvForbidden } from "/client.js";
import { Feed } from "./feed.js";
import { Figures } from "./figures.js";
import { visible } from "./text.js";
import { Tree } from "./tree.js";
import { Value } from "./value.js";

const $ = id => document.getElementById(id);

const tree = new Tree($("tree"), $("tree-note"));
const value = new Value($("detail"));
const feed = new Feed($("feed"), $("feed-note"));
const figures = new Figures($("figures"), path => fetch(path, { headers: token ? { Authorization: `Bearer ${token}` } : {} }));

let kv;
let token = sessionStorage.getItem("kvserver.token") ?? "";
let watching = new AbortController();

// ---- the connection ----

function begin() {
  kv?.close();
  // The token is known at once; as a function, it is asked for anew where it was refused.
  kv = connect(location.origin, { raw: true, token: token ? async () => token : undefined });
  kv.onState(showState);
  showState(kv.state);
  value.hasToken = () => !!token;
  value.begin(kv);
  figures.begin();
  showKeys();
}

function showState(state, error) {
  const part = $("state");
  part.dataset.state = state;
  part.textContent = { open: "live", connecting: "connecting…", offline: "no connection", closed: "closed" }[state] ?? state;
  part.title = error?.message ?? "";
  if (state !== "offline") return;
  if (error instanceof KvForbidden) return askForToken(token ? "The server refused this token." : "This server requires a token.");
  // A page cannot learn why a WebSocket was refused.
  if (!/^(localhost|127\.0\.0\.1|\[::1\])$/.test(location.hostname))
    part.title += ` (if this goes on: does \`origins\` in the configuration list ${location.origin}?)`;
}

// ---- keys and changes ----

function showTree() {
  tree.show(kv, $("filter").value, $("delimiter").value);
}

function showKeys() {
  showTree();
  follow([$("filter").value]);
}

async function follow(prefixes, isGranted = false) {
  watching.abort();
  const { signal } = (watching = new AbortController());
  feed.clear();
  feed.pause(feed.isPaused);
  for (const prefix of prefixes)
    followOne(prefix, signal).catch(error => {
      if (signal.aborted) return;
      if (error.status === 401) return askForToken("This server requires a token.");
      const granted = isGranted ? [] : grantedIn(error.message, prefix);
      if (granted.length) follow(granted, true);
      else if (error instanceof KvForbidden) feed.say("not granted");
      else setTimeout(() => signal.aborted || follow(prefixes, isGranted), 2000);
    });
}

async function followOne(prefix, signal) {
  for await (const change of kv.watch({ prefix }, { signal, buffer: 20000 })) {
    if (change.type === "reset") {
      showTree(); // nobody knows what has changed meanwhile
      continue;
    }
    tree.take(change);
    feed.take(change);
  }
}

// The refusal of a subscription to all keys names the prefixes that the token may read.
function grantedIn(text, prefix) {
  const named = [...text.matchAll(/"(?:[^"\\]|\\.)*"/g)].map(([quoted]) => JSON.parse(quoted));
  return named.filter(name => name.startsWith(prefix) && name !== prefix);
}

function choose(key, isGlance) {
  if (value.key === key && !$("detail").hidden) return;
  if (!value.show(key, isGlance)) return;
  $("empty").hidden = true;
  tree.choose(key, isGlance);
  document.body.classList.add("has-detail");
  history.replaceState(null, "", `#${encodeURIComponent(key)}`);
  document.title = `${visible(key)} · KvServer`;
}

function create() {
  const row = tree.cursorRow;
  const prefix = row?.isKey ? row.parent.prefix : row?.isEnd ? row.folder.prefix : row?.isOpen ? row.prefix : $("filter").value;
  $("empty").hidden = true;
  document.body.classList.add("has-detail");
  value.create(prefix ?? "");
}

tree.onChoose = choose;
feed.onChoose = key => choose(key);
value.onClose = () => {
  $("empty").hidden = false;
  tree.choose(undefined);
  document.body.classList.remove("has-detail");
  history.replaceState(null, "", location.pathname);
  document.title = "KvServer";
  $("tree").focus();
};

// ---- what stands around ----

function askForToken(why) {
  if ($("token-dialog").open) return;
  if (why) $("token-why").textContent = why;
  $("token-text").value = "";
  $("token-dialog").showModal();
}

$("token-dialog").addEventListener("close", event => {
  const { returnValue } = event.target;
  event.target.returnValue = "cancel";
  if (returnValue === "cancel" || (returnValue === "use" && !$("token-text").value)) return;
  token = returnValue === "use" ? $("token-text").value.trim() : "";
  if (token) sessionStorage.setItem("kvserver.token", token);
  else sessionStorage.removeItem("kvserver.token");
  begin();
});

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

function turnTheme() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (isDark ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  localStorage.setItem("kvserver.theme", next);
  setTheme(next);
}

function pause() {
  feed.pause(!feed.isPaused);
  $("pause").setAttribute("aria-pressed", feed.isPaused);
  $("pause").textContent = feed.isPaused ? "Resume" : "Pause";
}

let typing;
$("filter").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(showKeys, 150);
});
$("filter").addEventListener("keydown", event => {
  if (event.key === "Escape" && event.target.value) {
    event.target.value = "";
    showKeys();
  } else if (event.key === "ArrowDown" || event.key === "Enter" || event.key === "Escape") {
    $("tree").focus();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
});
$("delimiter").addEventListener("change", () => {
  localStorage.setItem("kvserver.delimiter", $("delimiter").value);
  showKeys();
});
$("new").onclick = create;
$("pause").onclick = pause;
$("theme").onclick = turnTheme;
$("token").onclick = () => askForToken();
$("help").onclick = () => $("help-dialog").showModal();

const shortcuts = {
  "/": () => $("filter").select(),
  "?": () => $("help-dialog").showModal(),
  e: () => value.edit(),
  n: create,
  p: pause,
  Escape: () => value.leaveEditor() || ($("detail").hidden || value.close()),
};
document.addEventListener("keydown", event => {
  const isTyping = event.target.matches("input, textarea, select") && event.key !== "Escape";
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping || document.querySelector("dialog[open]")) return;
  if (!(event.key in shortcuts)) return;
  event.preventDefault();
  shortcuts[event.key]();
});

setTheme(localStorage.getItem("kvserver.theme"));
$("delimiter").value = localStorage.getItem("kvserver.delimiter") ?? "/";
begin();
$("tree").focus();
if (location.hash.length > 1) choose(decodeURIComponent(location.hash.slice(1)));

// How keys, values and numbers are shown. Values are texts here, exactly as they are stored.

// What cannot be seen, or changes how what follows is seen: controls, marks of direction, halves of
// pairs. It is shown as an escape.
const HIDDEN = /[\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\ufeff\ufff9-\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const escape = c => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
export const visible = text => text.replace(HIDDEN, escape);
export const visibleLines = text => text.replace(HIDDEN, c => (c === "\n" || c === "\t" ? c : escape(c)));

export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter(child => child !== undefined && child !== null));
  return made;
}

// ---- numbers ----

export const number = n => Math.round(n).toLocaleString("en");

export function short(n) {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]])
    if (n >= size) return `${(n / size).toFixed(n < 10 * size ? 1 : 0)} ${unit}`;
  return n >= 10 || Number.isInteger(n) ? String(Math.round(n)) : n.toFixed(1);
}

export function bytes(n) {
  for (const [unit, power] of [["GiB", 30], ["MiB", 20], ["KiB", 10]])
    if (n >= 2 ** power) return `${(n / 2 ** power).toFixed(n < 10 * 2 ** power ? 1 : 0)} ${unit}`;
  return `${n} B`;
}

export function seconds(s) {
  if (s >= 1) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
  return s >= 0.001 ? `${(s * 1000).toFixed(s < 0.01 ? 1 : 0)} ms` : `${Math.round(s * 1e6)} µs`;
}

// Two units at the most; as a TTL may be written.
export function duration(ms) {
  if (ms < 1000) return "0s";
  const parts = [];
  let left = Math.floor(ms / 1000);
  for (const [unit, size] of [["y", 31557600], ["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]) {
    if (left >= size && parts.length < 2) parts.push(`${Math.floor(left / size)}${unit}`);
    else if (parts.length) break;
    left %= size;
  }
  return parts.join(" ");
}

export const time = at => new Date(at).toLocaleTimeString("en-GB");

// ---- order ----

// That of the server: bytes of UTF-8. It differs from JavaScript's for characters in pairs only.
const rank = code => (code < 0xd800 ? code : code < 0xe000 ? code + 0x2000 : code - 0x800);
export function compare(a, b) {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

// ---- JSON ----

const WHITE = /\s*/y, WORD = /[^\s"{}[\],:]+/y;

function endOfString(text, from) {
  for (let at = from + 1; ; at++) {
    at = text.indexOf('"', at);
    if (at < 0) return text.length;
    let escapes = 0;
    while (text[at - 1 - escapes] === "\\") escapes++;
    if (escapes % 2 === 0) return at + 1;
  }
}

function* tokens(text) {
  for (let at = 0; at < text.length; ) {
    WHITE.lastIndex = at;
    WHITE.test(text);
    at = WHITE.lastIndex;
    if (at >= text.length) return;
    let end = at + 1;
    if (text[at] === '"') {
      end = endOfString(text, at);
    } else if (!"{}[],:".includes(text[at])) {
      WORD.lastIndex = at;
      WORD.test(text);
      end = WORD.lastIndex;
    }
    yield text.slice(at, end);
    at = end;
  }
}

// The pieces [kind, text] of a value with one member a line. Digits, escapes, the order of members
// and repeated ones stay as they are. Stops when `most` characters have been given.
export function* formatted(text, most = Infinity) {
  let depth = 0, given = 0, before = "";
  const line = () => `\n${"  ".repeat(Math.min(depth, 100))}`;
  const all = [...limited(tokens(text), most)];
  for (let i = 0; i < all.length && given < most; i++) {
    const token = all[i];
    const [first] = token;
    const isEmpty = (before === "{" || before === "[") && (first === "}" || first === "]");
    let space = "";
    if (first === "}" || first === "]") depth--;
    if (!isEmpty && (first === "}" || first === "]" || before === "{" || before === "[" || before === ",")) space = line();
    else if (before === ":") space = " ";
    if (first === "{" || first === "[") depth++;
    const kind = first === '"' ? (all[i + 1] === ":" ? "name" : "string")
      : "{}[],:".includes(first) ? "mark" : /[-\d]/.test(first) ? "number" : "word";
    const piece = space + token;
    given += piece.length;
    yield [kind, piece.length > most ? piece.slice(0, most) : piece];
    before = first;
  }
}

function* limited(tokens, most) {
  let n = 0;
  for (const token of tokens) {
    yield token;
    n += token.length;
    if (n > most) return;
  }
}

export const typeOf = text => ({ '"': "string", "{": "object", "[": "array", t: "true", f: "false", n: "null" })[text.trimStart()[0]] ?? "number";

// ---- what to copy ----

const shell = text => `'${text.replaceAll("'", "'\\''")}'`;

export function snippets(key, hasToken) {
  const path = encodeURIComponent(key).replaceAll("%2F", "/");
  const isSteps = /(^|\/)\.{1,2}(\/|$)/.test(key);
  const token = hasToken ? ' -H "Authorization: Bearer $KVSERVER_TOKEN"' : "";
  return {
    curl: `curl${isSteps ? " --path-as-is" : ""}${token} ${shell(`${location.origin}/storage/${path}`)}`,
    JavaScript: `import { connect } from "${location.origin}/client.js";\n\n` +
      `const kv = connect(${JSON.stringify(location.origin)}${hasToken ? ", { token: async () => …  }" : ""});\n` +
      `kv.on(${JSON.stringify(key)}, entry => console.log(entry?.value));\n`,
    kvctl: `kvctl get --url ${location.origin} ${key.startsWith("-") ? "-- " : ""}${shell(key)}`,
  };
}

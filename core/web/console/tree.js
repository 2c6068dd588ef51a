// The keys as a tree of prefixes. A folder is listed when it is opened, page by page as its end comes
// into view; changes are worked in as they come.
import { List } from "./list.js";
import { compare, duration, element, visible } from "./text.js";

const PAGE = 1000; // keys and folders that are asked for at a time
const FADE_MS = 1500; // that a key which is gone is still shown
const ROW = 28;

class Folder {
  isOpen = false;
  children = []; // folders and keys, in order
  byName = new Map();
  pages = null; // an iterator of what has not been listed yet
  isWhole = false;
  isBusy = false;
  error = null;

  constructor(prefix, depth) {
    this.prefix = prefix;
    this.name = prefix;
    this.depth = depth;
  }

  // Where a name is, or would be.
  place(name) {
    let [low, high] = [0, this.children.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(this.children[middle].name, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  add(child) {
    this.byName.set(child.name, child);
    const last = this.children.at(-1);
    if (!last || compare(last.name, child.name) < 0) this.children.push(child);
    else this.children.splice(this.place(child.name), 0, child);
  }

  remove(child) {
    if (!this.byName.delete(child.name)) return;
    const at = this.place(child.name);
    if (this.children[at] === child) this.children.splice(at, 1);
  }
}

export class Tree {
  #box;
  #note;
  #list;
  #kv;
  #rows = []; // folders, keys, and folders' ends (isEnd)
  #isDirty = false;
  #cursor; // the row under the keyboard
  #revealed; // the row that is to come into view
  #flashes = new Map(); // by name; of this frame
  onChoose = () => {};
  chosen; // the name of the key that is shown

  constructor(box, note) {
    this.#box = box;
    this.#note = note;
    this.#list = new List(box, ROW, (row, i) => this.#draw(row, i), (first, end) => this.#loadInView(first, end));
    box.addEventListener("keydown", event => this.#onKey(event));
    box.addEventListener("click", event => this.#onClick(event));
    setInterval(() => document.hidden || this.#list.refresh(), 1000); // TTLs count down
  }

  // Begins anew.
  show(kv, prefix, delimiter) {
    this.#kv = kv;
    this.root = new Folder(prefix, -1);
    this.delimiter = delimiter;
    this.#cursor = undefined;
    this.#box.scrollTop = 0;
    this.open(this.root);
  }

  // ---- listing ----

  open(folder) {
    folder.isOpen = true;
    if (!folder.pages && !folder.isWhole) {
      const { prefix } = folder;
      folder.pages = this.#kv.list({ prefix, delimiter: this.delimiter || undefined, limit: PAGE });
      folder.loading = this.#load(folder);
    }
    this.#change();
  }

  close(folder) {
    folder.isOpen = false;
    this.#change();
  }

  async #load(folder) {
    if (folder.isBusy || folder.isWhole || folder.error) return;
    folder.isBusy = true;
    const { root } = this;
    try {
      for (let n = 0; n < PAGE; n++) {
        const { value, done } = await folder.pages.next();
        if (root !== this.root) return void folder.pages.return?.();
        if (done) {
          folder.isWhole = true;
          break;
        }
        this.#take(folder, value);
      }
    } catch (error) {
      folder.error = error;
    }
    folder.isBusy = false;
    this.#change();
  }

  #take(folder, { prefix, key, ttl }) {
    if (folder.byName.has(prefix ?? key)) return;
    if (prefix !== undefined) folder.add(new Folder(prefix, folder.depth + 1));
    else folder.add({ isKey: true, name: key, depth: folder.depth + 1, parent: folder, expires: ttl && Date.now() + ttl });
  }

  #loadInView(first, end) {
    for (let i = first; i < end; i++)
      if (this.#rows[i]?.isEnd) this.#load(this.#rows[i].folder);
  }

  // ---- changes ----

  take({ type, key, expires }) {
    if (!this.root || !key.startsWith(this.root.prefix)) return;
    let folder = this.root;
    for (;;) {
      const { name, isKey } = this.#childOf(folder, key);
      const child = folder.byName.get(name);
      const isThere = type === "set";
      if (child) this.#flashes.set(name, isThere ? "set" : "gone");
      if (isKey) return this.#takeKey(folder, child, name, isThere, expires);
      if (!child) return void (isThere && this.#isListed(folder, name) && this.#grow(folder, new Folder(name, folder.depth + 1)));
      folder = child;
    }
  }

  // Whether what has this name, if it were there, would have been listed.
  #isListed(folder, name) {
    const last = folder.children.at(-1);
    return folder.isWhole || (last && compare(name, last.name) < 0);
  }

  #takeKey(folder, child, name, isThere, expires) {
    if (isThere && child) {
      child.expires = expires;
      child.goneAt = undefined;
    } else if (isThere && this.#isListed(folder, name)) {
      this.#grow(folder, { isKey: true, name, depth: folder.depth + 1, parent: folder, expires });
    } else if (child) {
      child.goneAt = Date.now();
      child.expires = undefined;
      setTimeout(() => child.goneAt && Date.now() >= child.goneAt + FADE_MS - 50 && this.#shrink(folder, child), FADE_MS);
    }
    this.#list.refresh();
  }

  #grow(folder, child) {
    folder.add(child);
    this.#flashes.set(child.name, "set");
    this.#change();
  }

  #shrink(folder, child) {
    folder.remove(child);
    this.#change();
  }

  // ---- rows ----

  // The rows are made anew before the next frame.
  #change() {
    if (this.#isDirty) return;
    this.#isDirty = true;
    requestAnimationFrame(() => {
      this.#isDirty = false;
      const rows = [];
      this.#flatten(this.root, rows);
      const at = this.#cursor ? rows.indexOf(this.#cursor) : -1;
      if (at < 0) this.#cursor = rows[0];
      this.#rows = rows;
      this.#list.length = rows.length;
      if (this.#revealed) this.#list.reveal(rows.indexOf(this.#revealed));
      this.#revealed = undefined;
      this.#tell();
    });
  }

  #flatten(folder, rows) {
    for (const child of folder.children) {
      rows.push(child);
      if (child.isOpen) this.#flatten(child, rows);
    }
    if (!folder.isWhole || (folder !== this.root && !folder.children.length))
      rows.push((folder.end ??= { isEnd: true, folder, depth: folder.depth + 1 }));
  }

  #tell() {
    const { prefix, isWhole, children } = this.root;
    const which = prefix ? ` begin with “${visible(prefix)}”` : " yet";
    this.#note.textContent = isWhole && !children.length ? `No keys${which}.` : "";
  }

  #label(row) {
    if (!row.isEnd) return visible(row.name.slice(this.#parentPrefix(row).length)) || "(empty)";
    const { folder } = row;
    if (folder.error) return folder.error.message;
    return folder.isWhole ? "no keys" : folder.children.length ? `${folder.children.length.toLocaleString("en")} so far…` : "…";
  }

  // Of a name, what the folder above it says already.
  #parentPrefix({ name, isKey }) {
    const { delimiter } = this;
    if (!delimiter) return "";
    const at = name.lastIndexOf(delimiter, name.length - 1 - (isKey ? 0 : delimiter.length));
    return at < 0 ? "" : name.slice(0, at + delimiter.length);
  }

  #draw(line, i) {
    const row = this.#rows[i];
    if (!row) return;
    if (!line.firstChild) line.append(element("i"), element("span", { className: "name" }), element("small"));
    const [mark, name, side] = line.children;
    const kinds = { end: row.isEnd, key: row.isKey, folder: row.children, cursor: row === this.#cursor,
      chosen: row.isKey && row.name === this.chosen, gone: row.goneAt };
    update(line, { id: `row-${i}`, role: "treeitem", ariaLevel: `${row.depth + 1}`, ariaExpanded: row.children ? `${row.isOpen}` : null,
      className: ["row", ...Object.keys(kinds).filter(kind => kinds[kind])].join(" ") });
    if (line.depth !== row.depth) line.style.setProperty("--depth", (line.depth = row.depth));
    update(mark, { textContent: row.isKey || row.isEnd ? "" : row.isOpen ? "▾" : "▸" });
    update(name, { textContent: this.#label(row), title: row.isEnd ? "" : visible(row.name) });
    const left = row.expires ? row.expires - Date.now() : 0;
    update(side, { textContent: row.goneAt ? "gone" : left > 0 ? duration(left) : "",
      className: left > 0 && left < 10000 ? "soon" : "" });
    if (row === this.#cursor) this.#box.setAttribute("aria-activedescendant", line.id);
    const flash = row.isEnd ? undefined : this.#flashes.get(row.name);
    if (flash) {
      this.#flashes.delete(row.name);
      flashOf(line, flash);
    }
    if (i === this.#list.inView[0]) queueMicrotask(() => this.#flashes.clear());
  }

  // ---- keyboard and mouse ----

  get cursorRow() { return this.#cursor; }

  #moveTo(i) {
    const at = Math.max(0, Math.min(i, this.#rows.length - 1));
    this.#cursor = this.#rows[at];
    this.#list.reveal(at);
  }

  #enter(row) {
    if (row.isKey) this.onChoose(row.name);
    else if (row.isEnd) this.#retry(row.folder);
    else row.isOpen ? this.close(row) : this.open(row);
  }

  #retry(folder) {
    if (!folder.error) return;
    folder.error = null;
    folder.pages = null;
    this.open(folder);
  }

  #onKey(event) {
    const at = this.#rows.indexOf(this.#cursor), row = this.#cursor;
    const page = Math.floor(this.#box.clientHeight / ROW) - 1;
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.#rows.length - 1, PageDown: at + page, PageUp: at - page };
    if (event.ctrlKey || event.metaKey || event.altKey || !row) return;
    if (event.key in moves) this.#moveTo(moves[event.key]);
    else if (event.key === "ArrowRight" && row.children) row.isOpen ? this.#moveTo(at + 1) : this.open(row);
    else if (event.key === "ArrowLeft") this.#goOut(row, at);
    else if (event.key === "Enter" || event.key === " ") this.#enter(row);
    else return;
    event.preventDefault();
    if (this.#cursor?.isKey && event.key.startsWith("Arrow")) this.onChoose(this.#cursor.name, true);
  }

  #goOut(row, at) {
    if (row.isOpen) return this.close(row);
    for (let i = at; i >= 0; i--)
      if (this.#rows[i].depth < row.depth) return this.#moveTo(i);
  }

  #onClick(event) {
    const { index } = event.target.closest(".row") ?? {};
    const row = this.#rows[index];
    if (!row) return;
    this.#cursor = row;
    this.#enter(row);
    this.#list.refresh();
  }

  // isInView: it was chosen here.
  choose(name, isInView) {
    this.chosen = name;
    this.#list.refresh();
    if (name !== undefined && !isInView && name !== this.#cursor?.name) this.#reveal(name);
  }

  // Opens the folders above a key, as far as it is listed in their first pages.
  async #reveal(name) {
    const { root } = this;
    for (let folder = root; ; ) {
      await folder.loading;
      if (root !== this.root || this.chosen !== name) return;
      const child = folder.byName.get(this.#childOf(folder, name).name);
      if (child && !child.isKey) {
        this.open((folder = child));
        continue;
      }
      if (child) this.#revealed = this.#cursor = child;
      return this.#change();
    }
  }

  // Of a key below a folder: the folder's child that is the key, or leads to it.
  #childOf({ prefix }, key) {
    const at = this.delimiter ? key.indexOf(this.delimiter, prefix.length) : -1;
    return { isKey: at < 0, name: at < 0 ? key : key.slice(0, at + this.delimiter.length) };
  }
}

// Writes only what differs: writing an equal value causes a layout, too.
function update(element, properties) {
  for (const name in properties) if (element[name] !== properties[name]) element[name] = properties[name];
}

// At most one flash for each element: the browser paints every one that is running.
const running = new WeakMap();

export function flashOf(element, kind) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  running.get(element)?.cancel();
  const from = `var(--flash${kind === "gone" ? "-gone" : ""})`;
  running.set(element, element.animate([{ backgroundColor: from }, { backgroundColor: "transparent" }], { duration: 1200, easing: "ease-out" }));
}

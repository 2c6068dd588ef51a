// One key: its value, live, and its editor. A write names the revision that it was made from, so that
// nobody's change is lost unseen.
import { KvConflict, KvForbidden, KvUnavailable } from "/client.js";
import { flashOf } from "./tree.js";
import { bytes, duration, element, formatted, number, snippets, typeOf, visible, visibleLines } from "./text.js";

const SHOWN = 100_000; // characters of a value that are shown at first, and each time more are asked for
const LONGEST_EDIT = 1_000_000; // characters that the editor takes
const NEVER = Number.MAX_SAFE_INTEGER; // a revision that no key has

export class Value {
  #box;
  #kv;
  #stop = () => {};
  #entry = null; // what is there now
  #last = null; // what was there last
  #isWaiting = false; // for its first state
  #mode = "formatted";
  #editor = null; // {isNew, base, text, ttl, …} while it is open
  onClose = () => {};
  hasToken = () => false;
  key;

  constructor(box) {
    this.#box = box;
    setInterval(() => document.hidden || this.#showLeft(), 250);
  }

  begin(kv) {
    this.#kv = kv;
    if (this.key !== undefined) this.show(this.key);
  }

  // isGlance: the keyboard passes by; what is being written stays.
  show(key, isGlance = false) {
    if (this.#editor?.isTouched && (isGlance || !confirm("Discard your changes?"))) return false;
    this.#stop();
    Object.assign(this, { key });
    this.#editor = this.#entry = this.#last = null;
    this.#isWaiting = true;
    this.#build();
    let isFirst = true;
    this.#stop = this.#kv.on(key, entry => {
      this.#take(entry, isFirst);
      isFirst = false;
    }, { onError: error => this.#say(error.message, "bad") });
    this.#learnRights();
    return true;
  }

  create(prefix) {
    if (this.#editor?.isTouched && !confirm("Discard your changes?")) return;
    this.#stop();
    this.#stop = () => {};
    this.key = undefined;
    this.#entry = this.#last = null;
    this.#editor = { isNew: true, name: prefix, text: "", ttl: "" };
    this.#build();
    this.#buildEditor();
  }

  close() {
    this.#stop();
    this.#stop = () => {};
    this.key = undefined;
    this.#editor = this.#entry = this.#last = null;
    this.#box.hidden = true;
    this.onClose();
  }

  // ---- what comes in ----

  #take(entry, isFirst) {
    this.#isWaiting = false;
    const isNews = !isFirst && entry?.revision !== this.#entry?.revision;
    this.#entry = entry;
    if (entry) this.#last = entry;
    if (this.#editor) this.#showConflict();
    this.#showFacts();
    this.#showValue();
    if (isNews) flashOf(this.#part("facts"), entry ? "set" : "gone");
  }

  // A delete that cannot happen is refused for want of a right, or because the condition fails.
  async #learnRights() {
    const { key } = this;
    const error = await this.#kv.delete(key, { ifRevision: NEVER }).catch(error => error);
    if (this.key !== key || error instanceof KvUnavailable) return;
    const may = !(error instanceof KvForbidden);
    for (const name of ["edit", "delete"]) this.#part(name).disabled = !may;
    this.#part("rights").textContent = may ? "" : "read only: your token may not write this key";
  }

  // ---- the pane ----

  #part(name) { return this.#box.querySelector(`[data-part="${name}"]`); }

  #make(name, part, properties, ...children) {
    const made = element(name, properties, ...children);
    made.dataset.part = part;
    return made;
  }

  #button(part, text, onclick, more) {
    return this.#make("button", part, { type: "button", textContent: text, onclick, ...more });
  }

  #build() {
    const { key = "" } = this;
    const title = element("h2", { title: visible(key) }, key === "" && !this.#editor ? "(the empty key)" : visible(key));
    const mode = (name, text) => this.#button(name, text, () => this.#setMode(name), { className: "tab" });
    this.#box.hidden = false;
    this.#box.replaceChildren(
      element("div", { className: "bar" }, this.#editor?.isNew ? element("h2", {}, "New key") : title, element("span", { className: "gap" }),
        this.#button("edit", "Edit", () => this.edit(), { title: "Edit (e)", disabled: true }),
        this.#button("delete", "Delete", () => this.#delete(), { disabled: true, className: "quiet" }),
        this.#button("close", "×", () => this.close(), { className: "quiet", title: "Close (Esc)", ariaLabel: "Close" })),
      this.#make("p", "facts", { className: "facts" }),
      this.#make("p", "say", { className: "say", role: "status", hidden: true }),
      this.#make("div", "editor", { className: "editor", hidden: true }),
      this.#make("div", "viewer", { className: "viewer" },
        element("div", { className: "bar" }, mode("formatted", "Formatted"), mode("stored", "As stored"), element("span", { className: "gap" }),
          element("span", { className: "dim" }, "Copy as"), ...["value", "curl", "JavaScript", "kvctl"].map(way =>
            this.#button(`copy-${way}`, way, event => this.#copy(way, event.target), { className: "quiet" }))),
        this.#make("div", "text", { className: "text", tabIndex: 0 })),
      this.#make("p", "rights", { className: "note" }));
    this.#setMode(this.#mode);
    this.#showFacts();
  }

  #say(text, kind = "") {
    const part = this.#part("say");
    part.textContent = text;
    part.dataset.kind = kind;
    part.hidden = !text;
  }

  #showFacts() {
    const entry = this.#entry ?? this.#last;
    const facts = this.#part("facts");
    if (!facts) return;
    facts.classList.toggle("gone", !this.#entry && !!this.#last);
    if (!entry) return void (facts.textContent = this.key === undefined || this.#isWaiting ? "" : "There is no such key.");
    facts.replaceChildren(
      element("span", {}, typeOf(entry.value)),
      element("span", {}, bytes(sizeOf(entry.value))),
      element("span", { title: "The revision, as in its ETag" }, `revision ${entry.revision}`),
      this.#make("span", "left", {}));
    this.#showLeft();
  }

  #showLeft() {
    const part = this.#part("left");
    if (!part) return;
    if (!this.#entry) return void (part.textContent = "gone");
    const { expires, ttl } = this.#entry;
    const left = expires - Date.now();
    part.textContent = !expires ? "never expires" : left > 0 ? `expires in ${duration(left)}` : "expires now";
    part.classList.toggle("soon", left < 10000);
    part.style.setProperty("--left", expires ? Math.max(0, Math.min(1, left / ttl)) : 1);
    part.classList.toggle("timed", !!expires);
  }

  #setMode(mode) {
    this.#mode = mode;
    for (const name of ["formatted", "stored"]) this.#part(name).setAttribute("aria-pressed", name === mode);
    this.#showValue();
  }

  #showValue() {
    const box = this.#part("text");
    const entry = this.#entry ?? this.#last;
    if (!box || !entry) return void box?.replaceChildren();
    const { value } = entry;
    const pre = element("pre", { dir: "ltr" });
    box.classList.toggle("gone", !this.#entry);
    if (this.#mode === "formatted" && value.length <= SHOWN) {
      for (const [kind, text] of formatted(value)) pre.append(kind === "mark" ? visibleLines(text) : element("span", { className: kind }, visibleLines(text)));
      return box.replaceChildren(pre);
    }
    box.replaceChildren(pre);
    this.#showPart(box, pre, this.#mode === "formatted" ? [...formatted(value, SHOWN)].map(([, text]) => text).join("") : value, value.length);
  }

  // A long value comes piece by piece: as a whole it would bring the page to a halt.
  #showPart(box, pre, text, whole) {
    let shown = 0;
    const more = element("button", { className: "quiet" });
    const show = () => {
      pre.append(visibleLines(text.slice(shown, shown + SHOWN)));
      shown = Math.min(shown + SHOWN, text.length);
      more.hidden = shown >= text.length;
      more.textContent = `Show more: ${number(shown)} of ${number(whole)} characters`;
      if (more.hidden && text.length !== whole) box.append(element("p", { className: "note" }, "There is more under “As stored”."));
    };
    more.onclick = show;
    show();
    box.append(more);
  }

  async #copy(way, button) {
    const entry = this.#entry ?? this.#last;
    const text = way === "value" ? entry?.value : snippets(this.key ?? "", this.hasToken())[way];
    if (text === undefined) return;
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      this.#say(text); // a page that came by plain http may not copy
    }
    setTimeout(() => (button.textContent = label), 1200);
  }

  // ---- the editor ----

  edit() {
    const entry = this.#entry;
    if (!entry || this.#editor || this.#part("edit").disabled) return;
    if (entry.value.length > LONGEST_EDIT) return this.#say(`${bytes(entry.value.length)} are too much to edit here.`);
    const text = this.#mode === "formatted" ? [...formatted(entry.value)].map(([, piece]) => piece).join("") : entry.value;
    this.#editor = { base: entry, text, ttl: entry.expires ? duration(entry.expires - Date.now()) : "" };
    this.#buildEditor();
  }

  #buildEditor() {
    const editor = this.#editor;
    const touch = () => {
      editor.isTouched = true;
      this.#checkText();
    };
    const area = this.#make("textarea", "area", { value: editor.text, spellcheck: false, ariaLabel: "Value, as JSON", oninput: touch,
      placeholder: 'JSON: {"text": "hello"}, "hello", 42, true' });
    const ttl = this.#make("input", "ttl", { value: editor.ttl, placeholder: "never", oninput: touch, size: 12, spellcheck: false });
    const name = editor.isNew && this.#make("input", "name", { value: editor.name, placeholder: "Key", ariaLabel: "Key", oninput: touch, spellcheck: false, className: "wide" });
    const box = this.#part("editor");
    box.replaceChildren(...(name ? [name] : []), area,
      element("div", { className: "bar" }, element("label", {}, "Expires in ", ttl), this.#make("span", "fault", { className: "fault" }),
        element("span", { className: "gap" }), this.#button("cancel", "Cancel", () => this.leaveEditor(), { className: "quiet" }),
        this.#button("save", "Save", () => this.save(), { className: "main", title: "Ctrl+Enter" })));
    box.onkeydown = event => event.key === "Enter" && (event.ctrlKey || event.metaKey) && this.save();
    box.hidden = false;
    this.#part("viewer").hidden = true;
    this.#part("edit").hidden = this.#part("delete").hidden = true;
    (name || area).focus();
    if (!name) area.setSelectionRange(0, 0);
  }

  leaveEditor() {
    if (!this.#editor) return false;
    const { isNew } = this.#editor;
    this.#editor = null;
    if (isNew) {
      this.close();
      return true;
    }
    this.#part("editor").hidden = true;
    this.#part("viewer").hidden = false;
    this.#part("edit").hidden = this.#part("delete").hidden = false;
    this.#say("");
    this.#showValue();
    return true;
  }

  #checkText() {
    let fault = "";
    try {
      JSON.parse(this.#part("area").value);
    } catch (error) {
      fault = error.message;
    }
    this.#part("fault").textContent = fault;
    this.#part("save").disabled = !!fault;
    return !fault;
  }

  // What to do about somebody else's change.
  #showConflict() {
    const { base, isNew } = this.#editor;
    const theirs = this.#entry;
    if (isNew || theirs?.revision === base?.revision) return;
    const part = this.#part("say");
    part.dataset.kind = "conflict";
    part.hidden = false;
    part.replaceChildren(
      element("b", {}, theirs ? "Somebody else changed this key while you were editing. " : "This key disappeared while you were editing. "),
      ...(theirs ? [element("code", { className: "preview" }, visible(theirs.value.slice(0, 300)))] : []),
      element("span", { className: "buttons" },
        this.#button("theirs", theirs ? "Take theirs" : "Discard mine", () => this.leaveEditor()),
        this.#button("mine", "Keep mine", () => {
          this.#editor.base = theirs;
          this.#say(theirs ? "Saving now replaces their change." : "Saving creates the key again.");
        })));
  }

  async save() {
    const editor = this.#editor;
    if (!editor || !this.#checkText()) return;
    const text = this.#part("area").value;
    const key = editor.isNew ? this.#part("name").value : this.key;
    const typed = this.#part("ttl").value.trim();
    const isKept = typed === editor.ttl && editor.base?.expires;
    const ttl = isKept ? Math.max(1, Math.round(editor.base.expires - Date.now())) : typed || undefined;
    const condition = editor.base ? { ifRevision: editor.base.revision } : { ifAbsent: true };
    this.#part("save").disabled = true;
    try {
      await this.#kv.set(key, text, { ...condition, ttl, raw: true });
      if (this.#editor !== editor) return;
      this.#editor = null;
      this.show(key);
    } catch (error) {
      if (this.#editor !== editor) return;
      this.#part("save").disabled = false;
      if (!(error instanceof KvConflict)) this.#say(error.message, "bad");
      else if (editor.isNew) this.#say("This key already exists: choose it to edit it.", "bad");
      else if (this.#entry?.revision === editor.base?.revision) this.#say("Somebody else has just changed this key.", "conflict");
      else this.#showConflict();
    }
  }

  async #delete() {
    const button = this.#part("delete");
    const entry = this.#entry;
    if (!entry) return;
    if (button.dataset.armed !== String(entry.revision)) {
      button.dataset.armed = entry.revision;
      button.textContent = "Really delete?";
      button.classList.add("danger");
      return void setTimeout(() => this.#disarm(button), 4000);
    }
    this.#disarm(button);
    try {
      await this.#kv.delete(this.key, { ifRevision: entry.revision });
    } catch (error) {
      this.#say(error instanceof KvConflict ? "The key has just changed, and was not deleted." : error.message, "bad");
    }
  }

  #disarm(button) {
    delete button.dataset.armed;
    button.textContent = "Delete";
    button.classList.remove("danger");
  }
}

const sizeOf = text => (text.length > 10_000_000 ? text.length : new TextEncoder().encode(text).length);

// The latest changes, newest first. While it is paused they are counted, and not shown.
import { element, time, visible } from "./text.js";

const MOST = 300; // that are shown
const PREVIEW = 160; // characters of a value
const PAUSE_MS = 100; // between two updates: nobody reads faster, and each causes a layout

export class Feed {
  #box;
  #note;
  #waiting = []; // until the next update, or until the feed is resumed
  #n = 0; // while it is paused
  #isDue = false;
  #shownAt = 0;
  isPaused = false;
  onChoose = () => {};

  constructor(box, note) {
    this.#box = box;
    this.#note = note;
    box.addEventListener("click", event => {
      const { key } = event.target.closest("li") ?? {};
      if (key !== undefined) this.onChoose(key);
    });
  }

  say(text) {
    this.#note.textContent = text;
  }

  clear() {
    this.#box.replaceChildren();
    this.#waiting = [];
  }

  pause(isPaused) {
    if (this.#waiting.length) this.#show();
    this.isPaused = isPaused;
    this.#n = 0;
    this.say(isPaused ? "paused" : "");
  }

  take({ type, key, value = "" }) {
    this.#waiting.push({ type, key, at: Date.now(), preview: visible(value.slice(0, PREVIEW)) });
    if (this.#waiting.length > 2 * MOST) this.#waiting.splice(0, MOST);
    if (this.isPaused) return this.say(`paused · ${(++this.#n).toLocaleString("en")} since`);
    if (!this.#isDue) this.#schedule();
  }

  #schedule() {
    this.#isDue = true;
    setTimeout(() => requestAnimationFrame(() => {
      this.#isDue = false;
      if (!this.isPaused && this.#waiting.length) this.#show();
    }), Math.max(0, this.#shownAt + PAUSE_MS - performance.now()));
  }

  #show() {
    this.#shownAt = performance.now();
    const rows = this.#waiting.splice(0).slice(-MOST).reverse().map(({ type, key, at, preview }) => {
      const row = element("li", { className: type, title: visible(key) },
        element("time", {}, time(at)), element("b", {}, { set: "set", delete: "deleted", expire: "expired" }[type] ?? type),
        element("button", { className: "name" }, visible(key) || "(empty)"), element("code", {}, preview));
      row.key = key;
      return row;
    });
    this.#box.prepend(...rows);
    while (this.#box.children.length > MOST) this.#box.lastChild.remove();
  }
}

// What /metrics tells, as small plots.
import { bytes, element, seconds, short } from "./text.js";

const FIRST_MS = 700, EVERY_MS = 2000;
const KEPT = 60; // samples
const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [120, 28];

// Samples by name and labels: [{name, labels, value}].
function parse(text) {
  const all = new Map();
  for (const line of text.split("\n")) {
    const found = /^([a-z_]+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!found || line[0] === "#") continue;
    const [, name, labels = "", value] = found;
    if (!all.has(name)) all.set(name, []);
    all.get(name).push({ labels, value: Number(value) });
  }
  return all;
}

const sum = (all, name) => (all.get(name) ?? []).reduce((total, { value }) => total + value, 0);

// The quantile of what was counted between two scrapes; null where nothing was.
function quantile(before, after, name, q) {
  const counts = new Map();
  for (const [all, sign] of [[before, -1], [after, 1]])
    for (const { labels, value } of all.get(`${name}_bucket`) ?? []) {
      const bound = Number(/le="([^"]+)"/.exec(labels)[1].replace("+Inf", "Infinity"));
      counts.set(bound, (counts.get(bound) ?? 0) + sign * value);
    }
  const bounds = [...counts.keys()].sort((a, b) => a - b);
  const total = counts.get(Infinity) ?? 0;
  if (total <= 0) return null;
  const found = bounds.find(bound => counts.get(bound) >= q * total);
  return found === Infinity ? bounds.at(-2) : found;
}

const rate = name => (before, after, s) => Math.max(0, sum(after, name) - sum(before, name)) / s;
const gauge = name => (_, after) => sum(after, name);
// The first of these gauges that the server has.
const gaugeOf = (...names) => (_, after) => {
  const name = names.find(name => after.has(name));
  return name && sum(after, name);
};

const PLOTS = [
  ["Connections", gauge("kvserver_connections"), short],
  ["Commands", rate("kvserver_commands_total"), n => `${short(n)}/s`],
  ["Latency, 99 %", (before, after) => quantile(before, after, "kvserver_command_duration_seconds", 0.99), seconds],
  ["States sent", rate("kvserver_states_sent_total"), n => `${short(n)}/s`],
  ["Keys", gauge("kvserver_store_keys"), short],
  ["Store", gaugeOf("kvserver_store_disk_bytes", "kvserver_store_bytes"), bytes],
  ["Memory", gauge("process_resident_memory_bytes"), bytes],
  ["Waiting for sinks", gaugeOf("kvserver_sink_queue_events"), short],
];

class Plot {
  values = [];

  constructor(name, show) {
    this.show = show;
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("aria-hidden", "true");
    this.area = this.svg.appendChild(document.createElementNS(SVG, "path"));
    this.line = this.svg.appendChild(document.createElementNS(SVG, "path"));
    this.area.setAttribute("class", "area");
    this.line.setAttribute("class", "line");
    this.text = element("b", {}, "–");
    this.box = element("figure", {}, element("figcaption", {}, name), this.text, this.svg);
  }

  add(value) {
    this.values.push(value ?? this.values.at(-1) ?? 0);
    if (this.values.length > KEPT) this.values.shift();
    this.text.textContent = value === null ? "–" : this.show(value);
    const most = Math.max(...this.values, 1e-9);
    const least = Math.min(...this.values);
    // What hardly moves is a line in the middle.
    const [low, high] = most - least < most / 50 ? [least - most / 4, most + most / 4] : [0, most];
    const x = i => WIDTH - (this.values.length - 1 - i) * (WIDTH / (KEPT - 1));
    const y = v => HEIGHT - 2 - ((v - low) / (high - low || 1)) * (HEIGHT - 4);
    const points = this.values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
    const d = `M${points.join("L")}`;
    this.line.setAttribute("d", d);
    this.area.setAttribute("d", `${d}L${WIDTH},${HEIGHT}L${x(0).toFixed(1)},${HEIGHT}Z`);
  }
}

export class Figures {
  #box;
  #fetch;
  #plots = new Map();
  #before;
  #at;
  #timer;
  #n = 0; // looks

  // fetch: with the token.
  constructor(box, fetch) {
    this.#box = box;
    this.#fetch = fetch;
    document.addEventListener("visibilitychange", () => document.hidden || this.begin());
  }

  begin() {
    clearTimeout(this.#timer);
    this.#look();
  }

  async #look() {
    let isThere = false;
    try {
      const answer = await this.#fetch("/metrics");
      isThere = answer.ok;
      if (isThere) this.#take(parse(await answer.text()));
      this.#box.hidden = !isThere;
    } catch {
      this.#before = undefined; // the state says that there is no connection
      isThere = true;
    }
    clearTimeout(this.#timer);
    if (isThere && !document.hidden) this.#timer = setTimeout(() => this.#look(), this.#n++ ? EVERY_MS : FIRST_MS);
  }

  #take(after) {
    const at = performance.now();
    const before = this.#before ?? after;
    const s = Math.max((at - (this.#at ?? at)) / 1000, 0.001);
    for (const [name, compute, show] of PLOTS) {
      const value = compute(before, after, s);
      if (value === undefined) continue;
      if (!this.#plots.has(name)) {
        this.#plots.set(name, new Plot(name, show));
        this.#box.append(this.#plots.get(name).box);
      }
      if (before !== after || !/s$/.test(show(1))) this.#plots.get(name).add(value);
    }
    this.#before = after;
    this.#at = at;
  }
}

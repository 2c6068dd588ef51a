// KvServer's client, as core/web/client/README.md describes it.
// client.d.ts says what everything is, core/PROTOCOL.md what is spoken.

export class KvError extends Error {
  constructor(message, status = 0, more) {
    super(message);
    this.name = new.target.name;
    Object.assign(this, { status }, more);
  }
}
export class KvConflict extends KvError {}
export class KvForbidden extends KvError {}
export class KvUnavailable extends KvError {}

const CLASSES = { 401: KvForbidden, 403: KvForbidden, 412: KvConflict, 429: KvUnavailable, 503: KvUnavailable };
const errorOf = (status, text, more) => new (CLASSES[status] ?? KvError)(text, status, more);

export const connect = (url, options) => new Client(url, options);

const TIMING = { connect: 20000, quiet: 20000, patience: 10000, retry: [500, 20000] };

// What a lost connection means for a request.
// A read, or a write with a condition: it is sent again.
const REPEAT = 1;
// A write that is sent again where the application wants it.
const QUEUE = 2;
// A write that would count twice.
const ONCE = 3;
// What ends with its connection.
const LINK = 4;

const now = () => performance.now();

function onAbort(signal, act) {
  signal?.throwIfAborted();
  signal?.addEventListener("abort", act);
  return () => signal?.removeEventListener("abort", act);
}

const sleep = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => resolve(off()), ms);
  const off = onAbort(signal, () => reject(signal.reason, clearTimeout(timer)));
});

function textOf(value, raw) {
  const text = raw ? value : JSON.stringify(value);
  // Throws where it is not one value, as text that ends the message and begins another.
  if (raw) JSON.parse(text);
  if (text === undefined) throw new TypeError("the value is not JSON");
  return text;
}

function entryOf({ payload: { key, value, revision, ttl }, text }, raw) {
  const entry = { key, value: raw ? text.slice(text.indexOf('"value":') + 8, -2) : value, revision };
  return ttl ? { ...entry, ttl, expires: Date.now() + ttl } : entry;
}

class Listeners {
  #all = new Set();

  add(callback) {
    const listener = (...values) => callback(...values);
    this.#all.add(listener);
    return () => this.#all.delete(listener);
  }

  tell(...values) {
    for (const listener of this.#all) {
      try {
        listener(...values);
      } catch (error) {
        queueMicrotask(() => { throw error; });
      }
    }
  }
}

// ---- what is known of a key or a prefix ----

class Store {
  entries = new Map();
  // Revisions of deleted keys, while older news may come.
  gone = new Map();

  apply(item, isExact) {
    const { key, revision } = item.payload;
    if (revision <= (this.entries.get(key)?.revision ?? this.gone.get(key))) return;
    this.gone.delete(key);
    if (item.type === "value") return this.entries.set(key, item.entry);
    if (!isExact) this.gone.set(key, revision);
    return this.entries.delete(key);
  }
}

// A subscription of the connection, shared by maps and watches. All up to `since` has been received.
class Topic {
  maps = new Set();
  watches = new Set();
  // Revisions after `since` that watches know, by key.
  told = new Map();

  constructor(id, pattern) {
    this.id = id;
    this.pattern = pattern;
    this.isPrefix = pattern.key === undefined;
    this.name = pattern.key ?? pattern.prefix;
  }

  covers(key) {
    return this.isPrefix ? key.startsWith(this.name) : key === this.name;
  }

  isWanted() {
    return this.maps.size || this.watches.size;
  }

  // The server sends a connection nothing twice, so what comes before the topic is asked for counts.
  take(item, isExact) {
    const { key, revision, reason, epoch } = item.payload;
    if (this.staging) this.staging.apply(item);
    if (!this.isLive && (this.since === undefined || epoch !== this.epoch)) return;
    if (revision <= this.since) return;
    if (this.store && !this.staging && this.store.apply(item, isExact)) this.tellMaps(item.change);
    if (!this.watches.size || revision <= this.told.get(key)) return;
    // A state, which is no news to a watch that has not begun.
    if (!reason && this.since === undefined) return;
    if (!isExact) this.told.set(key, revision);
    this.tellWatches(item.change);
  }

  tellMaps(change) {
    for (const map of this.maps) map.take(change);
  }

  tellWatches(change) {
    for (const watch of this.watches) watch.take(change);
  }

  unlink() {
    this.isLive = this.isSynced = false;
    this.staging = undefined;
  }

  reset() {
    this.isSynced = false;
    this.since = undefined;
    this.told.clear();
    this.staging = this.maps.size ? new Store() : undefined;
    if (!this.staging) this.store = undefined;
    this.tellWatches({ type: "reset" });
  }

  synced({ revision, epoch }) {
    this.isSynced = true;
    this.since = revision;
    this.epoch = epoch;
    if (this.staging) {
      const isAnother = this.store;
      this.store = this.staging;
      if (isAnother) this.tellMaps({ type: "reset" });
    }
    this.staging = undefined;
    if (this.store) this.tellMaps({ type: "synced" });
  }
}

class Mirror {
  #leave;
  #listeners = new Listeners();
  version = 0;

  constructor(topic, leave) {
    this.topic = topic;
    this.#leave = leave;
    this.ready = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.ready.catch(() => {});
    topic.maps.add(this);
    if (this.synced) this.resolve(this);
  }

  get #entries() { return this.topic.store?.entries ?? new Map(); }
  get synced() { return !!(this.topic.isSynced && this.topic.store); }
  get size() { return this.#entries.size; }
  has(key) { return this.#entries.has(key); }
  entry(key) { return this.#entries.get(key); }
  get(key) { return this.entry(key)?.value; }
  keys() { return this.#entries.keys(); }
  *values() { for (const { value } of this.#entries.values()) yield value; }
  *entries() { for (const { key, value } of this.#entries.values()) yield [key, value]; }
  [Symbol.iterator]() { return this.entries(); }
  subscribe(callback) { return this.#listeners.add(callback); }

  take(change) {
    this.version++;
    if (change.type === "synced") this.resolve(this);
    this.#listeners.tell(change);
  }

  fail(error) {
    this.error = error;
    this.close();
    this.take({ type: "ended", error });
  }

  close() {
    this.reject(this.error ?? new KvUnavailable("the map is closed"));
    this.topic.maps.delete(this);
    this.#leave();
  }
}

class Watch {
  #leave;
  #most;
  #queue = [];
  #waiting = [];
  // Makes what `next` returns after the end.
  #end;

  constructor(topic, leave, most) {
    this.topic = topic;
    this.#leave = leave;
    this.#most = most;
    topic.watches.add(this);
  }

  take(change) {
    const resolve = this.#waiting.shift();
    if (resolve) return resolve({ value: change, done: false });
    // What was before no longer counts.
    if (change.type === "reset") this.#queue = [];
    this.#queue.push(change);
    if (this.#queue.length > this.#most) this.#collapse();
  }

  #collapse() {
    const newest = new Map();
    for (const change of this.#queue) {
      const collapsed = newest.delete(change.key);
      newest.set(change.key, collapsed ? { ...change, collapsed } : change);
    }
    this.#queue = [...newest.values()];
    if (newest.size > this.#most) this.fail(new KvError("the watch is too far behind"));
  }

  fail(error) {
    this.#finish(() => Promise.reject(error));
  }

  close() {
    this.#finish(async () => ({ value: undefined, done: true }));
  }

  #finish(end) {
    if (this.#end) return;
    this.#end = end;
    this.#queue = [];
    for (const resolve of this.#waiting) resolve(end());
    this.topic.watches.delete(this);
    this.#leave();
  }

  async next() {
    if (this.#queue.length) return { value: this.#queue.shift(), done: false };
    return this.#end ? this.#end() : new Promise(resolve => this.#waiting.push(resolve));
  }

  return() {
    this.close();
    return this.#end();
  }

  [Symbol.asyncIterator]() { return this; }
}

// ---- the connection ----

class Client {
  #options;
  #url;
  #timing;
  #state = "connecting";
  #listeners = new Listeners();
  #socket;
  // Ends an attempt or a connection, or begins the next one.
  #timer;
  #tries = 0;
  // The last one that was fetched, unless it was refused.
  #token;
  // Bytes of a message.
  #limit;
  // When the server was last heard.
  #heard;
  // How much more patient after connections that seemed dead.
  #slack = 1;
  #id = 0;
  // Requests by id, in order.
  #pending = new Map();
  // The characters of their messages.
  #held = 0;
  // Writes that wait for a connection, by key.
  #newest = new Map();
  #leases = new Map();
  #topics = new Map();
  // Those topics that are prefixes; those that are to be asked for; those that are not synced yet.
  #prefixes = new Set();
  #idle = new Set();
  #busy = new Set();
  // The revision up to which all changes of synced topics have been received.
  #mark = 0;
  // Whether topics have noted what they know beyond their `since`.
  #isDirty = false;

  constructor(url = "/ws", options = {}) {
    this.#options = { WebSocket: globalThis.WebSocket, maxQueued: 1 << 20, ...options };
    if (!this.#options.WebSocket) throw new TypeError("there is no WebSocket: hand one in");
    this.#timing = { ...TIMING, ...options.timing };
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    if (this.#url.pathname === "/") this.#url.pathname = "/ws";
    onAbort(options.signal, () => this.close());
    this.#listen("addEventListener");
    this.#connect();
  }

  get state() { return this.#state; }
  onState(callback) { return this.#listeners.add(callback); }

  #enter(state, error) {
    this.#state = state;
    this.#listeners.tell(state, error);
  }

  close() {
    if (this.#state === "closed") return;
    this.#listen("removeEventListener");
    this.#drop();
    this.#enter("closed");
    this.#settleAll(new KvUnavailable("the client is closed"));
    for (const { watches, maps } of this.#topics.values())
      for (const one of [...watches, ...maps]) one.close();
  }

  #listen(method) {
    globalThis[method]?.("online", this.#wake);
    globalThis[method]?.("pagehide", this.#hide);
    globalThis.document?.[method]("visibilitychange", this.#wake);
  }

  // Browsers may keep a page that was left, with its connection and thus its leases.
  #hide = () => this.#lose(new KvUnavailable("the connection was closed"));

  // Back from sleep or the background, or to a network.
  #wake = () => {
    if (globalThis.document?.hidden) return;
    if (this.#state === "offline") this.#connect();
    if (this.#state === "open" && now() - this.#heard > 1000) this.#probe();
  };

  async #connect() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lose(new KvUnavailable("no connection in time")), this.#timing.connect);
    // A stand-in for the socket: another one means that the attempt was given up.
    const attempt = this.#socket = {};
    this.#enter("connecting");
    try {
      const token = await this.#getToken();
      if (this.#socket !== attempt) return;
      const socket = this.#socket = new this.#options.WebSocket(this.#url.href, "kvserver.v1");
      socket.onopen = () => this.#greet(socket, token);
      socket.onmessage = ({ data }) => this.#hear(data);
      socket.onerror = () => {};
      socket.onclose = ({ code, reason }) =>
        this.#lose(new KvUnavailable(`the connection was closed: ${reason || code}`, 0, { code }));
    } catch (error) {
      if (this.#socket === attempt) this.#lose(error);
    }
  }

  async #getToken() {
    const { token } = this.#options;
    return typeof token === "function" ? (this.#token ??= await token()) : token;
  }

  async #greet(socket, token) {
    try {
      if (token) await this.#authenticate(socket, token);
      const { payload } = await this.#call("hello", {}, { repeat: LINK });
      if (this.#socket === socket) this.#begin(payload);
    } catch (error) {
      if (this.#socket !== socket) return;
      if (error instanceof KvForbidden) this.#settleAll(error);
      this.#lose(error);
    }
  }

  // A token of before may have ended: another one is tried once.
  async #authenticate(socket, token, isLast) {
    try {
      await this.#call("auth", { token }, { repeat: LINK });
    } catch (error) {
      if (this.#socket !== socket) throw error;
      this.#token = undefined;
      const another = await this.#getToken();
      if (isLast || !another || another === token) throw error;
      await this.#authenticate(socket, another, true);
    }
  }

  #begin({ limits }) {
    this.#limit = limits.message;
    this.#tries = 0;
    this.#enter("open");
    this.#rest();
    for (const [key, [fields, json]] of this.#leases)
      this.#call("set", fields, { json, repeat: LINK }).catch(
        error => error instanceof KvUnavailable || this.#leases.delete(key));
    this.#pump();
    this.#newest.clear();
    for (const request of this.#pending.values()) this.#transmit(request);
  }

  #lose(error) {
    if (this.#state === "closed") return;
    this.#drop();
    const { code, status } = error;
    if (code === 3000 || status === 401) this.#token = undefined;
    // The server asks for time.
    if (code === 1012 || code === 1013) this.#tries = Math.max(this.#tries, 2);
    const [least, most] = this.#timing.retry;
    const bound = Math.min(most, least * 4 * 2 ** this.#tries++);
    this.#timer = setTimeout(() => this.#connect(), least + Math.random() * (bound - least));
    for (const request of [...this.#pending.values()]) this.#keep(request, error);
    this.#enter("offline", error);
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#settleTopics();
    this.#mark = 0;
    this.#busy.clear();
    for (const topic of this.#topics.values()) {
      topic.unlink();
      this.#idle.add(topic);
      this.#leave(topic);
    }
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket?.close) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  // ---- does it live? ----

  #rest() {
    clearTimeout(this.#timer);
    const left = this.#heard + this.#timing.quiet - now();
    this.#timer = setTimeout(() => left > 0 ? this.#rest() : this.#probe(), left);
  }

  #probe(isSecond) {
    clearTimeout(this.#timer);
    const socket = this.#socket, unsent = socket.bufferedAmount, start = now();
    const patience = this.#timing.patience * this.#slack;
    this.#call("hello", {}, { repeat: LINK }).then(() => this.#slack = 1, () => {});
    this.#timer = setTimeout(() => {
      if (this.#heard > start) return this.#rest();
      const hasSlept = now() - start > patience + 2000;
      if (socket.bufferedAmount < unsent || (hasSlept && !isSecond)) return this.#probe(true);
      // It may have been a message that takes long.
      this.#slack = Math.min(this.#slack * 2, 16);
      this.#lose(new KvUnavailable("the server does not answer"));
    }, patience);
  }

  // ---- requests ----

  #call(type, fields, { repeat = REPEAT, signal, replaces, json, onAnswer } = {}) {
    return new Promise((resolve, reject) => {
      if (this.#state === "closed") throw new KvUnavailable("the client is closed");
      const off = onAbort(signal, () => request.settle(signal.reason));
      const id = ++this.#id;
      const key = type !== "get" && repeat !== LINK ? fields.key : undefined;
      let payload = JSON.stringify(fields);
      for (const name in json) payload = `${payload.slice(0, -1)},"${name}":${json[name]}}`;
      const text = `{"type":"${type}","id":${id},"payload":${payload}}`;
      const request = { id, text, repeat, key };
      request.settle = (error, answer) => {
        this.#forget(request);
        off();
        if (this.#newest.get(replaces) === request) this.#newest.delete(replaces);
        // At once, as the next message may have been received already.
        if (!error) onAnswer?.(answer);
        error ? reject(error) : resolve(answer);
        request.older?.settle(error, answer);
      };
      this.#pending.set(id, request);
      this.#held += text.length;
      if (this.#state === "open" || repeat === LINK) this.#transmit(request);
      else this.#hold(request, replaces);
    });
  }

  #forget({ id, text }) {
    if (this.#pending.delete(id)) this.#held -= text.length;
  }

  #settleAll(error) {
    for (const request of [...this.#pending.values()]) request.settle(error);
  }

  #hold(request, replaces) {
    const { offline, maxQueued } = this.#options;
    if (offline === "queue" && replaces !== undefined) {
      // The older one is not sent, and ends as this one does.
      request.older = this.#newest.get(replaces);
      if (request.older) this.#forget(request.older);
      this.#newest.set(replaces, request);
    }
    if (this.#held > maxQueued) request.settle(new KvUnavailable("too much waits for a connection"));
    else if (this.#state === "offline") this.#keep(request, new KvUnavailable("there is no connection"));
  }

  #keep(request, cause) {
    const { repeat, isSent } = request;
    const isQueued = this.#options.offline === "queue" && (repeat === QUEUE || (repeat === ONCE && !isSent));
    if (repeat !== REPEAT && !isQueued)
      return request.settle(new KvUnavailable(cause.message, 0, { cause, ambiguous: isSent }));
    request.wasSent ||= isSent;
    request.isSent = false;
  }

  #transmit(request) {
    const { text, isSent, key } = request;
    if (isSent) return;
    if (text.length * 3 > this.#limit && new TextEncoder().encode(text).length > this.#limit)
      return request.settle(new KvError(`the message is longer than ${this.#limit} bytes`, 413));
    request.isSent = true;
    // A write ends a lease of its key.
    this.#leases.delete(key);
    this.#socket.send(text);
  }

  #hear(text) {
    const message = { ...JSON.parse(text), text };
    const { type, id, payload } = message;
    this.#heard = now();
    if (id !== undefined) return this.#answer(this.#pending.get(id), message);
    if (type === "expiring") return this.#renew(this.#socket);
    if (type.endsWith("value")) return this.#change(message);
    const topic = this.#topics.get(payload.key === undefined ? `p${payload.prefix}` : `k${payload.key}`);
    if (!topic?.isLive) return;
    if (type === "synced") this.#synced(topic, payload);
    if (type === "reset") this.#reset(topic);
    if (type === "ended") this.#fail(topic, errorOf(payload.status, payload.error));
  }

  #answer(request, message) {
    const { type, status, payload } = message;
    if (type !== "error") request?.settle(undefined, message);
    else request?.settle(errorOf(status, payload, request.wasSent && { ambiguous: true }));
  }

  async #renew(socket) {
    if (typeof this.#options.token !== "function") return;
    try {
      this.#token = undefined;
      const token = await this.#getToken();
      if (this.#socket === socket && token) await this.#authenticate(socket, token, true);
    } catch (error) {
      if (this.#socket === socket && error instanceof KvForbidden) this.#lose(error);
      else setTimeout(() => this.#socket === socket && this.#renew(socket), 5000);
    }
  }

  // ---- subscriptions ----

  #join({ key, prefix }) {
    if (this.#state === "closed") throw new KvUnavailable("the client is closed");
    const id = key === undefined ? `p${prefix}` : `k${key}`;
    let topic = this.#topics.get(id);
    if (topic) return topic;
    topic = new Topic(id, key === undefined ? { prefix: `${prefix}` } : { key: `${key}` });
    this.#topics.set(id, topic);
    if (topic.isPrefix) this.#prefixes.add(topic);
    this.#idle.add(topic);
    return topic;
  }

  #leave(topic) {
    // One that is busy ends when it is synced.
    if (topic.isWanted() || this.#busy.has(topic)) return;
    if (topic.isLive) this.#call("unsubscribe", topic.pattern, { repeat: LINK }).catch(() => {});
    this.#remove(topic);
  }

  #remove(topic) {
    topic.unlink();
    this.#idle.delete(topic);
    this.#prefixes.delete(topic);
    if (this.#topics.get(topic.id) === topic) this.#topics.delete(topic.id);
  }

  // Topics that overlap are asked for one after another: the past that is sent for one would be taken
  // for news of the other.
  #pump(topics = this.#idle) {
    if (this.#state !== "open") return;
    for (const topic of topics) {
      const overlaps = other => this.#busy.has(other) && (topic.covers(other.name) || other.covers(topic.name));
      if (!this.#idle.has(topic) || [...topic.isPrefix ? this.#busy : this.#prefixes].some(overlaps)) continue;
      if (!this.#busy.size) this.#settleTopics();
      this.#idle.delete(topic);
      this.#busy.add(topic);
      this.#ask(topic);
    }
  }

  #ask(topic) {
    const { since, epoch, isLive } = topic;
    if (since !== undefined && !isLive) return this.#subscribe(topic, { since, epoch });
    if (epoch && !isLive) topic.tellWatches({ type: "reset" });
    if (topic.maps.size) return this.#subscribe(topic, { initial: true });
    // A watch begins now. If the connection is lost before the first change, it goes on from here.
    this.#tell(topic, "hello", {}, ({ payload: { revision, epoch } }) => {
      Object.assign(topic, { since: revision, epoch });
    });
    this.#subscribe(topic, {});
  }

  #subscribe(topic, from) {
    this.#tell(topic, "subscribe", { ...topic.pattern, ...from, meta: true }, () => {
      if (!this.#busy.has(topic)) return;
      topic.isLive = true;
      if (from.initial) topic.staging = new Store();
      else if (!from.epoch) this.#synced(topic, { revision: topic.since, epoch: topic.epoch });
    });
  }

  #tell(topic, type, fields, onAnswer) {
    const socket = this.#socket;
    this.#call(type, fields, { repeat: LINK, onAnswer }).catch(error => this.#socket === socket && this.#fail(topic, error));
  }

  #synced(topic, mark) {
    if (!this.#busy.delete(topic)) return;
    topic.synced(mark);
    this.#complete(topic);
    this.#leave(topic);
    this.#pump();
  }

  // A map has come to a topic of watches.
  #complete(topic) {
    if (!topic.isSynced || !topic.maps.size || topic.store) return;
    if (!this.#busy.size) this.#settleTopics();
    topic.isSynced = false;
    this.#idle.add(topic);
  }

  #reset(topic) {
    if (!this.#busy.size) this.#settleTopics();
    this.#busy.add(topic);
    topic.reset();
  }

  #fail(topic, error) {
    const { status } = error;
    if (status === 401 && this.#options.token) return this.#lose(error);
    this.#busy.delete(topic);
    if (status < 500 && status !== 429) {
      this.#remove(topic);
      for (const one of [...topic.watches, ...topic.maps]) one.fail(error);
    } else {
      topic.unlink();
      // What comes meanwhile is missed.
      topic.since = undefined;
      setTimeout(() => {
        if (!topic.isLive && !this.#busy.has(topic) && topic.isWanted()) this.#idle.add(topic);
        this.#pump();
      }, 1000 + Math.random() * 2000);
    }
    this.#pump();
  }

  #change(item) {
    const { type, payload: { key, revision, reason, collapsed } } = item;
    // At the beginning, a key has no value.
    if (revision === undefined) return;
    const isExact = reason && !collapsed && !this.#busy.size;
    if (isExact) this.#advance(revision);
    else this.#isDirty = true;
    item.entry = type === "value" ? entryOf(item, this.#options.raw) : { key, revision };
    item.change = { type: reason ?? "set", ...item.entry, ...(collapsed && { collapsed }) };
    this.#topics.get(`k${key}`)?.take(item, isExact);
    for (const topic of this.#prefixes) if (topic.covers(key)) topic.take(item, isExact);
  }

  #advance(revision) {
    this.#mark = revision;
    if (!this.#isDirty) return;
    this.#isDirty = false;
    for (const { told, store } of this.#topics.values()) {
      told.clear();
      store?.gone.clear();
    }
  }

  #settleTopics() {
    for (const topic of this.#topics.values())
      if (topic.isSynced && topic.since < this.#mark) topic.since = this.#mark;
  }

  // ---- what applications call ----

  #follow(what, signal, create) {
    signal?.throwIfAborted();
    const topic = this.#join(what);
    const one = create(topic, () => (off(), this.#leave(topic)));
    const off = onAbort(signal, () => one instanceof Watch ? one.fail(signal.reason) : one.close());
    this.#complete(topic);
    this.#pump([topic]);
    return one;
  }

  map(what, { signal } = {}) {
    return this.#follow(what, signal, (topic, leave) => new Mirror(topic, leave));
  }

  watch(what, { signal, buffer = 1024 } = {}) {
    return this.#follow(what, signal, (topic, leave) => new Watch(topic, leave, buffer));
  }

  on(key, callback, { signal, onError } = {}) {
    const map = this.map({ key }, { signal });
    let told;
    const tell = ({ type, error }) => {
      if (error) return onError ? onError(error) : Promise.reject(error);
      const entry = map.entry(key) ?? null;
      if (type === "reset" || told === (told = entry && entry.revision)) return;
      callback(entry);
    };
    const off = map.subscribe(tell);
    map.ready.then(() => told === undefined && tell({}), () => {});
    return () => (off(), map.close());
  }

  async get(key, { raw = this.#options.raw, signal } = {}) {
    const answer = await this.#call("get", { key, meta: true }, { signal });
    return answer.type === "value" ? entryOf(answer, raw) : null;
  }

  async set(key, value, { ttl, ifRevision, ifAbsent, whileConnected, raw = this.#options.raw, signal } = {}) {
    const fields = { key, ttl, if_revision: ifRevision, if_absent: ifAbsent, while_connected: whileConnected };
    const json = { value: textOf(value, raw) };
    const isConditional = ifRevision !== undefined || ifAbsent;
    const how = isConditional || whileConnected ? { repeat: REPEAT } : { repeat: QUEUE, replaces: key };
    const onAnswer = () => whileConnected && !isConditional && this.#leases.set(key, [fields, json]);
    const { payload: { revision } } = await this.#call("set", fields, { ...how, json, signal, onAnswer });
    return { key, revision };
  }

  async delete(key, { ifRevision, signal } = {}) {
    const how = ifRevision === undefined ? { repeat: QUEUE, replaces: key } : { repeat: REPEAT };
    await this.#call("delete", { key, if_revision: ifRevision }, { ...how, signal });
  }

  async touch(key, ttl, { signal } = {}) {
    return (await this.#call("touch", { key, ttl }, { repeat: QUEUE, signal })).type !== "no-value";
  }

  async increment(key, by = 1, { ttl, raw = this.#options.raw, signal } = {}) {
    return entryOf(await this.#call("increment", { key, ttl }, { json: { by }, repeat: ONCE, signal }), raw);
  }

  async merge(key, patch, { raw = this.#options.raw, signal } = {}) {
    const json = { patch: textOf(patch, raw) };
    return entryOf(await this.#call("merge", { key }, { json, repeat: QUEUE, signal }), raw);
  }

  async update(key, change, { ttl, raw, signal } = {}) {
    for (let n = 0; ; n++) {
      const entry = await this.get(key, { raw, signal });
      const value = await change(entry?.value, entry);
      if (value === undefined) return entry;
      const condition = entry ? { ifRevision: entry.revision } : { ifAbsent: true };
      try {
        const { revision } = await this.set(key, value, { ...condition, ttl: ttl ?? entry?.ttl, raw, signal });
        return { key, value, revision };
      } catch (error) {
        if (!(error instanceof KvConflict) || error.ambiguous) throw error;
      }
      await sleep(Math.random() * 2 ** Math.min(n, 8), signal);
    }
  }

  async *list({ prefix = "", delimiter, values, limit = 1000 } = {}, { raw = this.#options.raw, signal } = {}) {
    const query = new URLSearchParams({ prefix, limit });
    if (delimiter) query.set("delimiter", delimiter);
    if (values && !raw) query.set("values", true);
    do {
      const { keys, prefixes = [], cursor = "" } = await this.#fetch(query, signal);
      for (const prefix of prefixes) yield { prefix };
      const exact = ({ key }) => this.get(key, { raw, signal });
      for (const entry of values && raw ? await Promise.all(keys.map(exact)) : keys) if (entry) yield entry;
      query.set("cursor", cursor);
    } while (query.get("cursor"));
  }

  async #fetch(query, signal) {
    const url = new URL(`storage?${query}`, this.#url);
    url.protocol = url.protocol.replace("ws", "http");
    for (let n = 0; ; n++) {
      let error;
      try {
        const token = await this.#getToken();
        const answer = await fetch(url, { headers: token ? { Authorization: `Bearer ${token}` } : {}, signal });
        const body = await answer.json();
        if (answer.ok) return body;
        error = errorOf(answer.status, body.error);
      } catch (cause) {
        signal?.throwIfAborted();
        error = new KvUnavailable(cause.message, 0, { cause });
      }
      // Once more with another token.
      if (error.status === 401) this.#token = undefined;
      const isPassing = error instanceof KvUnavailable || (error.status === 401 && n === 0);
      if (!isPassing || n === 4 || this.#state === "closed") throw error;
      await sleep(this.#timing.retry[0] * 2 ** n, signal);
    }
  }
}

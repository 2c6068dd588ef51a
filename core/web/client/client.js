// KvServer's client: requests, live mirrors and watches over one WebSocket that mends itself.
// README.md says how to use it, core/PROTOCOL.md what is spoken.

export class KvError extends Error {
  constructor(message, status = 0, more) {
    super(message);
    this.name = new.target.name;
    this.status = status; // as HTTP has it; 0: none
    Object.assign(this, more);
  }
}
export class KvConflict extends KvError {}
export class KvForbidden extends KvError {}
export class KvUnavailable extends KvError {}

export const connect = (url, options) => new Client(url, options);

const CLASSES = { 401: KvForbidden, 403: KvForbidden, 412: KvConflict, 503: KvUnavailable };
const errorOf = (status, text, more) => new (CLASSES[status] ?? KvError)(text, status, more);

// What a lost connection means for a request that waits for its answer or for the next connection.
const REPEAT = 1; // it is sent again: a read, a conditional write
const QUEUE = 2; // a write that may be repeated where the application has it queued
const ONCE = 3; // a write that would count twice
const LINK = 4; // of this connection alone

// Of a topic on this connection. A BUSY one waits for its `synced`.
const IDLE = 0, BUSY = 1, SYNCED = 2, ENDED = 3;

const now = () => performance.now();

function run(callback, ...values) {
  try {
    callback(...values);
  } catch (error) {
    queueMicrotask(() => { throw error; }); // as of any other event listener
  }
}

function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      signal?.aborted ? reject(signal.reason) : resolve();
    }
    signal?.addEventListener("abort", end);
  });
}

function textOf(value, raw) {
  const text = raw ? String(value) : JSON.stringify(value);
  if (raw) JSON.parse(text); // one value, not the end of a message
  if (text === undefined) throw new TypeError("the value is not JSON");
  return text;
}

function entryOf({ payload: { key, value, revision, ttl }, text }, raw) {
  // The value is the last member of a message, and no string before it can contain this.
  const entry = { key, value: raw ? text.slice(text.indexOf('"value":') + 8, -2) : value, revision };
  if (ttl) Object.assign(entry, { ttl, expires: Date.now() + ttl });
  return entry;
}

// ---- what is known of a prefix or a key ----

// The newest states; of keys that are gone, their revisions, while older news may still arrive.
class Store {
  entries = new Map();
  gone = new Map();

  apply(item, isExact) {
    const { key, revision } = item.payload;
    if (revision <= (this.entries.get(key)?.revision ?? this.gone.get(key))) return false;
    this.gone.delete(key);
    if (item.type === "value") return this.entries.set(key, item.entry);
    if (!isExact) this.gone.set(key, revision);
    return this.entries.delete(key);
  }
}

// A subscription of the connection, and those who share it. `since` is the revision up to which all
// has been received: what is older is known.
class Topic {
  state = IDLE;
  isLive = false; // its news count
  maps = new Set();
  watches = new Set();
  told = new Map(); // the revisions that watches have had since `since`, by key

  constructor(id, pattern) {
    this.id = id;
    this.pattern = pattern;
    this.isPrefix = pattern.key === undefined;
    this.name = pattern.key ?? pattern.prefix;
  }

  covers(key) {
    return this.isPrefix ? key.startsWith(this.name) : key === this.name;
  }

  overlaps(other) {
    return this.covers(other.name) || other.covers(this.name);
  }

  isWanted() {
    return this.maps.size + this.watches.size > 0;
  }

  lacksState() {
    return this.maps.size > 0 && !this.store;
  }

  // Also what came before it was asked for again: the server sends nothing twice.
  take(item, isExact) {
    const { key, revision, reason, epoch } = item.payload;
    if (this.staging) this.staging.apply(item);
    if (!this.isLive && (this.since === undefined || epoch !== this.epoch)) return;
    const isOld = revision <= this.since;
    if (this.store && !this.staging && !isOld && this.store.apply(item, isExact))
      for (const map of this.maps) map.take(item.change);
    // A state is news to a watch if it stands for a change; at a beginning nobody can tell.
    if (!this.watches.size || isOld || revision <= this.told.get(key)) return;
    if (!reason && this.since === undefined) return;
    if (!isExact) this.told.set(key, revision);
    for (const watch of this.watches) watch.take(item.change);
  }

  forgetOld() {
    this.told.clear();
    this.store?.gone.clear();
  }

  reset() {
    this.state = BUSY;
    this.since = undefined;
    this.told.clear();
    this.staging = this.maps.size || this.store ? new Store() : undefined;
    for (const watch of this.watches) watch.take({ type: "reset" });
  }

  // All of it is known up to `revision`. A new state replaces what was known in one step.
  synced(revision, epoch) {
    this.state = SYNCED;
    this.since = revision;
    this.epoch = epoch;
    if (this.staging) {
      const hadOne = this.store;
      this.store = this.staging;
      this.staging = undefined;
      if (hadOne) for (const map of this.maps) map.take({ type: "reset" });
    }
    if (this.store) for (const map of this.maps) map.take({ type: "synced" });
  }

  fail(error) {
    for (const one of [...this.maps, ...this.watches]) one.fail(error);
  }
}

class Mirror {
  #leave;
  #listeners = new Set();
  version = 0; // another number after each change

  constructor(topic, leave) {
    this.topic = topic;
    this.#leave = leave;
    this.ready = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.ready.catch(() => {});
    topic.maps.add(this);
    if (topic.state === SYNCED && topic.store) this.resolve(this);
  }

  get #entries() { return this.topic.store?.entries ?? new Map(); }
  get synced() { return this.topic.state === SYNCED && !!this.topic.store && !this.error; }
  get size() { return this.#entries.size; }
  get(key) { return this.#entries.get(key)?.value; }
  has(key) { return this.#entries.has(key); }
  entry(key) { return this.#entries.get(key); }
  keys() { return this.#entries.keys(); }
  *values() { for (const { value } of this.#entries.values()) yield value; }
  *entries() { for (const { key, value } of this.#entries.values()) yield [key, value]; }
  [Symbol.iterator]() { return this.entries(); }

  subscribe(callback) {
    const listener = change => callback(change);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  take(change) {
    this.version++;
    if (change.type === "synced") this.resolve(this);
    for (const listener of this.#listeners) run(listener, change);
  }

  fail(error) {
    this.error = error;
    this.reject(error);
    this.take({ type: "ended", error });
  }

  close() {
    this.topic.maps.delete(this);
    this.reject(new KvUnavailable("the map is closed"));
    this.#listeners.clear();
    this.#leave();
  }
}

class Watch {
  #leave;
  #most;
  #queue = [];
  #waiting = [];
  #end; // what `next` returns, or throws, when the queue is empty

  constructor(topic, leave, most) {
    this.topic = topic;
    this.#leave = leave;
    this.#most = most;
    topic.watches.add(this);
  }

  take(change) {
    const waiting = this.#waiting.shift();
    if (waiting) return waiting.resolve({ value: change, done: false });
    if (change.type === "reset") this.#queue = []; // nothing of before counts
    this.#queue.push(change);
    if (this.#queue.length > this.#most) this.#collapse();
  }

  // Keeps the newest change of each key.
  #collapse() {
    const newest = new Map();
    for (const change of this.#queue) {
      const isLater = newest.delete(change.key);
      newest.set(change.key, isLater ? { ...change, collapsed: true } : change);
    }
    this.#queue = [...newest.values()];
    if (this.#queue.length > this.#most)
      this.fail(new KvError(`the watch is behind by the changes of more than ${this.#most} keys`));
  }

  fail(error) {
    this.#finish(() => Promise.reject(error));
  }

  close() {
    this.#finish(() => Promise.resolve({ value: undefined, done: true }));
  }

  #finish(end) {
    if (this.#end) return;
    this.#end = end;
    this.#queue = [];
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(end());
    this.topic.watches.delete(this);
    this.#leave();
  }

  next() {
    if (this.#queue.length) return Promise.resolve({ value: this.#queue.shift(), done: false });
    if (this.#end) return this.#end();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(value) {
    this.close();
    return Promise.resolve({ value, done: true });
  }

  [Symbol.asyncIterator]() { return this; }
}

// ---- the connection ----

const TIMING = { connect: 20000, quiet: 20000, patience: 10000, retry: [500, 20000] };

class Client {
  #options;
  #url;
  #timing;
  #state = "connecting";
  #listeners = new Set();
  #socket;
  #timer; // of the attempt, of life, or of the next attempt
  #tries = 0;
  #cached; // a token that was good, as far as is known
  #limit = Infinity; // bytes of a message
  #heard = 0;
  #slack = 1; // how much more patient after connections that seemed dead
  #id = 0;
  #pending = new Map(); // by id, in order
  #held = 0; // their characters
  #newest = new Map(); // writes that wait for a connection, by key
  #leases = new Map();
  #topics = new Map();
  #busy = new Set(); // of them
  #mark = 0; // a revision to resume from for all topics that are SYNCED
  #isDirty = false; // topics know what is newer than their `since`
  #done = new AbortController();

  constructor(url = "/ws", options = {}) {
    this.#options = options;
    this.#timing = { ...TIMING, ...options.timing };
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    if (this.#url.pathname === "/") this.#url.pathname = "/ws";
    options.signal?.addEventListener("abort", () => this.close());
    const wake = () => this.#wake();
    const signal = this.#done.signal;
    globalThis.addEventListener?.("online", wake, { signal });
    globalThis.document?.addEventListener("visibilitychange", wake, { signal });
    this.#connect();
  }

  get state() { return this.#state; }

  onState(callback) {
    const listener = (...values) => callback(...values);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #enter(state, error) {
    this.#state = state;
    for (const listener of this.#listeners) run(listener, state, error);
  }

  close() {
    if (this.#state === "closed") return;
    const error = new KvUnavailable("the client is closed");
    this.#done.abort();
    this.#drop();
    this.#socket = undefined;
    this.#enter("closed");
    for (const request of [...this.#pending.values()]) request.settle(error);
    for (const topic of this.#topics.values()) {
      for (const one of [...topic.watches, ...topic.maps]) one.close();
    }
    this.#topics.clear();
  }

  // Back from sleep, from the background, or to a network.
  #wake() {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.#state === "offline") this.#connect();
    else if (this.#state === "open" && now() - this.#heard > 1000) this.#probe();
  }

  async #connect() {
    clearTimeout(this.#timer);
    this.#enter("connecting");
    const attempt = (this.#socket = {}); // no longer this one: the attempt was given up
    this.#timer = setTimeout(() => this.#lose(new KvUnavailable("no connection in time")), this.#timing.connect);
    try {
      const token = await this.#token();
      if (this.#socket !== attempt) return;
      const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
      const socket = (this.#socket = new Socket(this.#url.href, "kvserver.v1"));
      socket.onopen = () => this.#greet(socket, token);
      socket.onmessage = ({ data }) => this.#hear(data);
      socket.onerror = () => {};
      socket.onclose = ({ code, reason }) => this.#lose(new KvUnavailable(reason || `the connection was closed (${code})`, 0, { code }));
    } catch (error) {
      if (this.#socket === attempt) this.#lose(error);
    }
  }

  async #token() {
    const { token } = this.#options;
    return typeof token === "function" ? (this.#cached ??= await token()) : token;
  }

  // Says who this is, and hears what the server is; then all else may be sent.
  async #greet(socket, token) {
    try {
      if (token) await this.#authenticate(socket, token);
      const { payload } = await this.#call("hello", {}, { repeat: LINK });
      if (this.#socket === socket) this.#begin(payload);
    } catch (error) {
      if (this.#socket !== socket) return;
      if (error instanceof KvForbidden) for (const request of [...this.#pending.values()]) request.settle(error);
      this.#lose(error);
    }
  }

  async #authenticate(socket, token, isLast) {
    try {
      await this.#call("auth", { token }, { repeat: LINK });
    } catch (error) {
      if (this.#socket !== socket || error instanceof KvUnavailable) throw error;
      this.#cached = undefined;
      const fresh = isLast || (await this.#token()); // it may have been one of before
      if (isLast || fresh === token) throw new KvForbidden(error.message, 401);
      await this.#authenticate(socket, fresh, true);
    }
  }

  #begin({ limits }) {
    this.#limit = limits?.message ?? Infinity;
    this.#tries = 0;
    this.#enter("open");
    this.#rest();
    for (const [key, lease] of this.#leases)
      this.#call("set", ...lease).catch(error => error instanceof KvUnavailable || this.#leases.delete(key));
    this.#pump();
    this.#newest.clear();
    for (const request of this.#pending.values()) this.#transmit(request);
  }

  // The connection is no more: what may be repeated waits for the next one.
  #lose(error) {
    if (this.#state === "closed") return;
    this.#drop();
    if (error.code === 3000) this.#cached = undefined;
    const [least, most] = this.#timing.retry;
    if (error.code === 1012 || error.code === 1013) this.#tries = Math.max(this.#tries, 2);
    const bound = Math.min(most, least * 4 * 2 ** this.#tries++);
    this.#timer = setTimeout(() => this.#connect(), least + Math.random() * (bound - least));
    for (const request of [...this.#pending.values()]) this.#keep(request, error);
    this.#enter("offline", error);
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#settle();
    this.#mark = 0;
    this.#busy.clear();
    for (const topic of [...this.#topics.values()]) {
      topic.state = IDLE;
      topic.isLive = false;
      topic.staging = undefined;
      if (!topic.isWanted()) this.#topics.delete(topic.id);
    }
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket?.close) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {};
    socket.close();
  }

  // ---- is it alive? ----

  #rest() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const silence = now() - this.#heard;
      if (silence < this.#timing.quiet) this.#rest();
      else this.#probe();
    }, Math.max(this.#heard + this.#timing.quiet - now(), 1));
  }

  #probe(isSecond) {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    const sent = now();
    const { bufferedAmount } = socket;
    const patience = this.#timing.patience * this.#slack;
    this.#call("hello", {}, { repeat: LINK }).then(() => (this.#slack = 1), () => {});
    this.#timer = setTimeout(() => {
      if (this.#heard >= sent) return this.#rest();
      const isGettingOn = socket.bufferedAmount < bufferedAmount;
      const hasSlept = now() - sent > patience + 2000;
      if (isGettingOn || (hasSlept && !isSecond)) return this.#probe(true);
      this.#slack = Math.min(this.#slack * 2, 16); // it may be a message that takes long
      this.#lose(new KvUnavailable("the server does not answer"));
    }, patience);
  }

  // ---- requests ----

  #call(type, fields, { repeat = REPEAT, signal, replaces, json, onAnswer } = {}) {
    return new Promise((resolve, reject) => {
      if (this.#state === "closed") throw new KvUnavailable("the client is closed");
      signal?.throwIfAborted();
      const id = ++this.#id;
      let payload = JSON.stringify(fields);
      for (const name in json) payload = `${payload.slice(0, -1)},"${name}":${json[name]}}`;
      const text = `{"type":"${type}","id":${id},"payload":${payload}}`;
      const abort = () => request.settle(signal.reason);
      const request = { id, text, repeat, isSent: false, older: [] };
      request.settle = (error, answer) => {
        if (!this.#pending.delete(id)) return;
        this.#held -= text.length;
        signal?.removeEventListener("abort", abort);
        if (this.#newest.get(replaces) === request) this.#newest.delete(replaces);
        if (!error) onAnswer?.(answer); // before the next message is read
        error ? reject(error) : resolve(answer);
        for (const older of request.older) older(error, answer);
      };
      request.follow = (error, answer) => (error ? reject(error) : resolve(answer));
      this.#pending.set(id, request);
      this.#held += text.length;
      signal?.addEventListener("abort", abort);
      if (this.#state === "open" || repeat === LINK) this.#transmit(request);
      else this.#hold(request, replaces);
    });
  }

  #hold(request, key) {
    const { offline, maxQueued = 1 << 20 } = this.#options;
    if (offline === "queue" && key !== undefined) {
      const older = this.#newest.get(key);
      this.#newest.set(key, request);
      if (older) this.#supersede(older, request);
    }
    if (this.#held > maxQueued) request.settle(new KvUnavailable("too much waits for a connection"));
    else if (this.#state === "offline") this.#keep(request, new KvUnavailable("there is no connection"));
  }

  #supersede(older, request) {
    this.#pending.delete(older.id);
    this.#held -= older.text.length;
    request.older.push(...older.older, older.follow);
  }

  #keep(request, error) {
    const { repeat, isSent } = request;
    const isKept = repeat === REPEAT || (this.#options.offline === "queue" && (repeat === QUEUE || (repeat === ONCE && !isSent)));
    if (!isKept) return request.settle(new KvUnavailable(error.message, 0, { ambiguous: isSent && repeat !== LINK, cause: error }));
    request.wasSent ||= isSent;
    request.isSent = false;
  }

  #transmit(request) {
    const { text } = request;
    if (request.isSent) return;
    if (text.length * 3 > this.#limit && new TextEncoder().encode(text).length > this.#limit)
      return request.settle(new KvError(`the message is longer than ${this.#limit} bytes, the limit`, 413));
    request.isSent = true;
    this.#socket.send(text);
  }

  #hear(text) {
    const message = JSON.parse(text);
    const { type, id, payload } = message;
    message.text = text;
    this.#heard = now();
    if (id !== undefined) this.#answer(this.#pending.get(id), message);
    else if (type === "value" || type === "no-value") this.#change(message);
    else if (type === "synced") this.#synced(this.#topicOf(payload), payload);
    else if (type === "reset") this.#reset(this.#topicOf(payload));
    else if (type === "ended") this.#fail(this.#topicOf(payload), errorOf(payload.status, payload.error));
    else if (type === "expiring") this.#renew(this.#socket);
  }

  #answer(request, message) {
    if (message.type !== "error") request?.settle(undefined, message);
    else request?.settle(errorOf(message.status, message.payload, request.wasSent && { ambiguous: true }));
  }

  async #renew(socket) {
    if (typeof this.#options.token !== "function") return;
    let token;
    try {
      this.#cached = undefined;
      token = await this.#token();
    } catch {
      setTimeout(() => this.#socket === socket && this.#renew(socket), 5000);
      return;
    }
    if (this.#socket === socket && token)
      this.#authenticate(socket, token).catch(error => this.#socket === socket && this.#lose(error));
  }

  // ---- topics ----

  #join(pattern) {
    if (this.#state === "closed") throw new KvUnavailable("the client is closed");
    const isKey = pattern.key !== undefined;
    const id = isKey ? `k${pattern.key}` : `p${pattern.prefix}`;
    let topic = this.#topics.get(id);
    if (!topic) {
      topic = new Topic(id, isKey ? { key: `${pattern.key}` } : { prefix: `${pattern.prefix}` });
      this.#topics.set(id, topic);
    }
    return topic;
  }

  #leave(topic) {
    if (topic.isWanted() || this.#busy.has(topic) || this.#topics.get(topic.id) !== topic) return; // or later
    this.#topics.delete(topic.id);
    if (topic.isLive) this.#call("unsubscribe", topic.pattern, { repeat: LINK }).catch(() => {});
  }

  // Asks for what is not followed yet; for those that overlap one after another, as the past that
  // one is sent would be news to the other.
  #pump() {
    if (this.#state !== "open") return;
    for (const topic of this.#topics.values()) {
      if (topic.state === SYNCED && topic.lacksState()) {
        this.#settle();
        topic.state = IDLE;
      }
      if (topic.state !== IDLE || this.#overlaps(topic)) continue;
      this.#settle();
      topic.state = BUSY;
      this.#busy.add(topic);
      this.#ask(topic);
    }
  }

  #overlaps(topic) {
    for (const other of this.#busy)
      if ((topic.isPrefix || other.isPrefix) && topic.overlaps(other)) return true;
    return false;
  }

  #ask(topic) {
    const { since, epoch, isLive } = topic;
    if (since !== undefined && !isLive) return this.#subscribe(topic, { since, epoch });
    if (!isLive && epoch) for (const watch of topic.watches) watch.take({ type: "reset" });
    if (topic.maps.size) return this.#subscribe(topic, { initial: true });
    // A watch begins where the server is now.
    this.#tell(topic, "hello", {}, ({ payload }) => {
      topic.since = payload.revision;
      topic.epoch = payload.epoch;
      this.#subscribe(topic, topic.since === undefined ? undefined : { since: topic.since, epoch: topic.epoch });
    });
  }

  #subscribe(topic, from) {
    this.#tell(topic, "subscribe", { ...topic.pattern, ...from, meta: true }, () => {
      topic.isLive = true;
      if (from?.initial) topic.staging = new Store();
      if (!from) this.#synced(topic, {});
    });
  }

  #tell(topic, type, fields, onAnswer) {
    const socket = this.#socket;
    this.#call(type, fields, { repeat: LINK, onAnswer }).catch(error => {
      if (socket === this.#socket) this.#fail(topic, error);
    });
  }

  #change(item) {
    const { type, payload } = item;
    const { key, revision, reason, collapsed } = payload;
    if (revision === undefined) return; // that a key has no value is known where nothing was told of it
    const isExact = !!reason && !collapsed && !this.#busy.size;
    if (isExact) this.#advance(revision);
    else this.#isDirty = true;
    item.entry = type === "value" ? entryOf(item, this.#options.raw) : { key, revision };
    item.change = { type: reason ?? "set", ...item.entry, ...(collapsed && { collapsed }) };
    for (const topic of this.#topics.values())
      if (topic.covers(key)) topic.take(item, isExact);
  }

  #advance(revision) {
    this.#mark = revision;
    if (!this.#isDirty) return;
    this.#isDirty = false;
    for (const topic of this.#topics.values()) topic.forgetOld();
  }

  #settle() {
    for (const topic of this.#topics.values())
      if (topic.state === SYNCED && topic.since < this.#mark) topic.since = this.#mark;
  }

  #topicOf({ key, prefix }) {
    return this.#topics.get(key === undefined ? `p${prefix}` : `k${key}`);
  }

  #synced(topic, { revision, epoch }) {
    if (!this.#busy.has(topic) || !topic.isLive) return;
    this.#busy.delete(topic);
    topic.synced(revision, epoch);
    this.#leave(topic);
    this.#pump();
  }

  #reset(topic) {
    if (!topic?.isLive) return;
    this.#settle();
    this.#busy.add(topic);
    topic.reset();
  }

  #fail(topic, error) {
    if (!topic) return;
    const { status } = error;
    this.#busy.delete(topic);
    topic.isLive = false;
    topic.staging = undefined;
    if (status === 401 && this.#options.token) return this.#lose(error);
    topic.state = ENDED;
    if (status >= 400 && status < 500) {
      this.#topics.delete(topic.id);
      topic.fail(error);
    } else {
      topic.since = undefined; // what comes meanwhile is not received
      setTimeout(() => {
        if (topic.state === ENDED) topic.state = IDLE;
        this.#pump();
      }, 1000 + Math.random() * 2000);
    }
    this.#pump();
  }

  // ---- what applications call ----

  map({ key, prefix }, { signal } = {}) {
    signal?.throwIfAborted();
    const topic = this.#join({ key, prefix });
    const map = new Mirror(topic, () => this.#leave(topic));
    this.#pump();
    signal?.addEventListener("abort", () => map.close());
    return map;
  }

  on(key, callback, { signal, onError } = {}) {
    const map = this.map({ key }, { signal });
    let told; // a revision; null: that there is no value
    const tell = ({ type, error } = {}) => {
      if (error) return onError ? onError(error) : Promise.reject(error);
      const entry = map.entry(key) ?? null;
      const revision = entry && entry.revision;
      if (type !== "reset" && revision !== told) callback(entry);
      told = revision;
    };
    map.subscribe(tell);
    if (map.synced) queueMicrotask(() => told === undefined && run(tell));
    return () => map.close();
  }

  watch({ key, prefix }, { signal, buffer = 1024 } = {}) {
    signal?.throwIfAborted();
    const topic = this.#join({ key, prefix });
    const watch = new Watch(topic, () => this.#leave(topic), buffer);
    this.#pump();
    signal?.addEventListener("abort", () => watch.fail(signal.reason));
    return watch;
  }

  async get(key, { raw = this.#options.raw, signal } = {}) {
    const answer = await this.#call("get", { key, meta: true }, { signal });
    return answer.type === "value" ? entryOf(answer, raw) : null;
  }

  async set(key, value, { ttl, ifRevision, ifAbsent, whileConnected, raw = this.#options.raw, signal } = {}) {
    const isConditional = ifRevision !== undefined || !!ifAbsent;
    const fields = { key, ttl, if_revision: ifRevision, if_absent: ifAbsent, while_connected: whileConnected };
    const json = { value: textOf(value, raw) };
    this.#leases.delete(key);
    const isRepeated = isConditional || whileConnected;
    const { payload } = await this.#call("set", fields, {
      json, signal, repeat: isRepeated ? REPEAT : QUEUE, replaces: isRepeated ? undefined : key,
      onAnswer: () => whileConnected && !isConditional && this.#leases.set(key, [fields, { json, repeat: LINK }]),
    });
    return { key, revision: payload.revision };
  }

  async delete(key, { ifRevision, signal } = {}) {
    this.#leases.delete(key);
    const options = ifRevision === undefined ? { repeat: QUEUE, replaces: key } : { repeat: REPEAT };
    await this.#call("delete", { key, if_revision: ifRevision }, { ...options, signal });
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

  // Compare-and-set until nobody came in between.
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

  async *list({ prefix = "", delimiter, values = false, limit = 1000 } = {}, { raw = this.#options.raw, signal } = {}) {
    const query = new URLSearchParams({ prefix, limit, ...(delimiter && { delimiter }), ...(values && !raw && { values }) });
    do {
      const page = await this.#fetch(query, signal);
      for (const prefix of page.prefixes ?? []) yield { prefix };
      const keys = values && raw ? await Promise.all(page.keys.map(({ key }) => this.get(key, { raw, signal }))) : page.keys;
      for (const entry of keys) if (entry) yield entry;
      query.set("cursor", page.cursor ?? "");
    } while (query.get("cursor"));
  }

  async count({ prefix = "" } = {}, { signal } = {}) {
    return (await this.#fetch(new URLSearchParams({ prefix, count: true }), signal)).count;
  }

  async #fetch(query, signal) {
    const url = new URL(`storage?${query}`, this.#url);
    url.protocol = url.protocol.replace("ws", "http");
    for (let n = 0; ; n++) {
      const token = await this.#token();
      const headers = token ? { Authorization: `Bearer ${token}` } : {};
      let error;
      try {
        const answer = await fetch(url, { headers, signal });
        const body = await answer.json();
        if (answer.ok) return body;
        error = errorOf(answer.status, body.error);
      } catch (cause) {
        signal?.throwIfAborted();
        error = new KvUnavailable(cause.message, 0, { cause });
      }
      if (error.status === 401) this.#cached = undefined;
      const isWorthIt = error instanceof KvUnavailable || (error.status === 401 && token && n === 0);
      if (!isWorthIt || n === 4 || this.#state === "closed") throw error;
      await sleep(this.#timing.retry[0] * 2 ** n * (0.5 + Math.random()), signal);
    }
  }
}

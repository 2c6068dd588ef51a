// Sessions in KvServer, with the interface of express-session's stores.
import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";

const DAY_MS = 86400000;

// The remaining lifetime of a session's cookie, in milliseconds.
function ttlOf({ cookie } = {}) {
  const left = cookie?.expires ? new Date(cookie.expires) - Date.now() : cookie?.originalMaxAge ?? cookie?.maxAge ?? DAY_MS;
  return Math.max(1, Math.ceil(left));
}

// With Express: `new (createStore(session.Store))({ url })`.
export const createStore = (Base = EventEmitter) => class KvStore extends Base {
  constructor({ url = "http://localhost:3000", prefix = "session/", token } = {}) {
    super();
    Object.assign(this, { url, prefix, headers: token ? { Authorization: `Bearer ${token}` } : {} });
  }

  // Keys are hashes: nobody who reads the store can take over a session, and no id can lead to another path.
  async request(method, id, body) {
    const key = this.prefix + createHash("sha256").update(id).digest("hex");
    const answer = await fetch(`${this.url}/storage/${key}`, { method, headers: this.headers, body: body && JSON.stringify(body) });
    if (!answer.ok && !(method === "PATCH" && answer.status === 404)) throw new Error(`${method} of a session: ${await answer.text()}`);
    return answer;
  }

  get(id, callback) {
    return settle(callback, async () => {
      const answer = await this.request("GET", id);
      return answer.status === 204 ? null : (await answer.json()).value;
    });
  }

  set(id, session, callback) {
    return settle(callback, async () => { await this.request("PUT", id, { value: session, ttl: ttlOf(session) }); });
  }

  destroy(id, callback) {
    return settle(callback, async () => { await this.request("DELETE", id); });
  }

  // Sets only the deadline: it neither revives an ended session nor undoes a change of another request.
  touch(id, session, callback) {
    return settle(callback, async () => { await this.request("PATCH", id, { ttl: ttlOf(session) }); });
  }
};

// A promise; or a call of `callback(error, result)`, whose own exceptions are not caught.
function settle(callback, act) {
  const promise = act();
  if (!callback) return promise;
  promise.then(result => process.nextTick(callback, null, result), error => process.nextTick(callback, error));
}

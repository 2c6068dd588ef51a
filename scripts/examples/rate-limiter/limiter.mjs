// Counts the requests of all processes together, and allows each name `limit` of them in a window of time.
export function createLimiter({ url = "http://localhost:3000", limit, window, prefix = "rate/", token }) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};

  // One round trip. A missing counter begins at 0 and gets the TTL; an existing one keeps its
  // deadline, so the window ends by itself, and nothing has to be cleaned up.
  return async function take(name) {
    const key = prefix + name;
    const body = JSON.stringify([
      { type: "increment", payload: { key, ttl: window } },
      { type: "get", payload: { key, meta: true } },
    ]);
    const answer = await fetch(`${url}/batch`, { method: "POST", headers, body, signal: AbortSignal.timeout(2000) });
    if (!answer.ok) throw new Error(`the limiter got ${answer.status}: ${await answer.text()}`);
    const [count, left] = await answer.json();
    if (count.type === "error") throw new Error(count.payload);
    const n = count.payload.value;
    return { allowed: n <= limit, remaining: Math.max(0, limit - n), retryAfter: Math.ceil((left.payload.ttl ?? 0) / 1000) };
  };
}

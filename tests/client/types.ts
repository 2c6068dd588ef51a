// The types of the client, as used by an application: this file is compiled, never run.
import { connect, KvConflict, KvError, type Change, type Client, type Entry, type KvMap, type State } from "@kvserver/client";
import { useKey, usePrefix } from "@kvserver/client/react";

interface Task {
  text: string;
  done: boolean;
}

const kv: Client = connect("wss://example.org/ws", {
  token: async () => "a token",
  offline: "queue",
  maxQueued: 1000,
  raw: false,
  WebSocket: class {},
  signal: AbortSignal.timeout(1000),
  timing: { retry: [500, 20000] },
});
connect();
connect(new URL("http://localhost:3000"), { token: "a token", offline: "reject" });
// @ts-expect-error: there is no such option
connect("", { offline: "later" });

export async function use(signal: AbortSignal): Promise<void> {
  const entry: Entry<Task> | null = await kv.get<Task>("todo/1", { signal, raw: false });
  const text: string | undefined = entry?.value.text;
  const left: number | undefined = entry?.ttl;
  // @ts-expect-error: there may be no value
  entry.revision.toFixed();
  // @ts-expect-error: the type of an untyped value is unknown
  (await kv.get("todo/1"))?.value.text;

  const { revision } = await kv.set("todo/1", { text, done: true }, {
    ttl: "5m", ifRevision: entry?.revision, ifAbsent: false, whileConnected: true, signal,
  });
  await kv.set("todo/1", "{}", { ttl: 1000, raw: true });
  // @ts-expect-error: a value is required
  await kv.set("todo/1");
  await kv.delete("todo/1", { ifRevision: revision, signal });
  const updated = await kv.update<Task>("todo/1", task => task && { ...task, done: true }, { ttl: "1h", signal });
  const isDone: boolean | undefined = updated?.value.done;
  // @ts-expect-error: a task has no such member
  await kv.update<Task>("todo/1", task => ({ ...task, over: true, text: 1 }));
  const isThere: boolean = await kv.touch("todo/1", "1h", { signal });
  const sum: number = (await kv.increment("n", 2n, { ttl: 1000, signal })).value;
  const merged: Entry<Task> = await kv.merge<Task>("todo/1", { done: null });

  for await (const listed of kv.list<Task>({ prefix: "todo/", delimiter: "/", values: true, limit: 10 }, { signal })) {
    if (listed.prefix !== undefined) console.log(listed.prefix);
    else console.log(listed.key, listed.value?.text, listed.ttl);
  }
  for await (const change of kv.watch<Task>({ prefix: "todo/" }, { signal, buffer: 10 })) {
    if (change.type === "reset") continue;
    if (change.type === "set") console.log(change.value.text, change.collapsed);
    else console.log(change.key, change.revision);
  }
  // @ts-expect-error: a key or a prefix, not both
  kv.watch({ key: "a", prefix: "b" });

  const map: KvMap<Task> = kv.map<Task>({ prefix: "todo/" }, { signal });
  const off: () => void = map.subscribe(change => {
    if (change.type === "ended") console.log(change.error.status);
    else if (change.type === "set") console.log(change.value.done);
  });
  const first: Task | undefined = map.get("todo/1");
  const all: [string, Task][] = [...map, ...map.entries()];
  console.log((await map.ready).size, map.synced, map.has("todo/1"), [...map.keys()], [...map.values()], map.entry("todo/1")?.expires);
  off();
  map.close();

  const end = kv.on<Task>("todo/1", one => console.log(one?.value.text), { signal, onError: error => console.log(error.status) });
  end();
  const state: State = kv.state;
  kv.onState((next, error) => console.log(next, error?.message))();
  try {
    await kv.set("todo/1", 1, { ifAbsent: true });
  } catch (error) {
    if (error instanceof KvConflict) console.log(error.ambiguous);
    else if (error instanceof KvError) console.log(error.status, error.message);
  }
  kv.close();
  console.log(left, isDone, isThere, sum, merged, first, all, state);
}

export function Room({ id }: { id: string }): string {
  const topic: string | undefined = useKey<string>(kv, `room/${id}/topic`);
  const users: ReadonlyMap<string, Task> = usePrefix<Task>(kv, `room/${id}/users/`);
  return `${topic} ${users.size}`;
}

export const isSet = (change: Change<Task>): boolean => change.type === "set";

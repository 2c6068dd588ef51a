/** Types of KvServer's client. README.md beside this file explains it with examples. */

export type State = "connecting" | "open" | "offline" | "closed";

/** Milliseconds, or a duration such as "10 hours 1m 5s". 0: no expiry. */
export type Ttl = number | string;

export interface ConnectOptions {
  /** A bearer token, or a function that fetches one: it is asked when a token is needed, and again when
   * the one of before has been refused or is about to expire. Without a token the client is anonymous. */
  token?: string | (() => string | undefined | Promise<string | undefined>);
  /** How to treat unconditional writes while there is no connection, and those that were not
   * answered when it was lost: they are rejected ("reject", the default), or they wait for the next
   * connection ("queue"; of the sets and deletes of a key only the newest is sent). */
  offline?: "reject" | "queue";
  /** The characters of messages that may wait for a connection; 1,048,576 unless given. */
  maxQueued?: number;
  /** Values are the exact JSON text, both ways; see `Raw`. */
  raw?: boolean;
  /** The class to use where there is no global one (Node before 22: the package `ws`). */
  WebSocket?: unknown;
  /** Closes the client. */
  signal?: AbortSignal;
  /** In milliseconds; for tests and special networks. */
  timing?: {
    /** Until an attempt to connect is given up: 20,000. */
    connect?: number;
    /** Of silence, until the server is asked for a sign of life: 20,000. */
    quiet?: number;
    /** Until it must have given one: 10,000. */
    patience?: number;
    /** The shortest and the longest pause between two attempts to connect: [500, 20000]. */
    retry?: [number, number];
  };
}

export interface Abortable {
  signal?: AbortSignal;
}

/** `raw: true`: the value is the JSON text itself, byte for byte: `JSON.parse` loses digits of large
 * numbers, repeated members, and white space. */
export interface Raw {
  raw?: boolean;
}

export interface Entry<T = unknown> {
  key: string;
  value: T;
  revision: number;
  /** The milliseconds that were left when the answer arrived. */
  ttl?: number;
  /** The same moment by this machine's clock (`Date.now()`). */
  expires?: number;
}

export interface SetOptions extends Abortable, Raw {
  ttl?: Ttl;
  /** Only if the key still has this revision; otherwise KvConflict. */
  ifRevision?: number;
  /** Only if the key has no value; otherwise KvConflict. */
  ifAbsent?: boolean;
  /** A lease: the server keeps the key while this connection lasts, and deletes it when that ends. After a
   * reconnect the client sets it again, unless it was conditional. Needs a `ttl` of at least 5 s. */
  whileConnected?: boolean;
}

/** One key, or all keys that begin with a prefix ("": every key). */
export type Pattern = { key: string; prefix?: undefined } | { prefix: string; key?: undefined };

export type Change<T = unknown> =
  | ({ type: "set"; collapsed?: boolean } & Entry<T>)
  | { type: "delete" | "expire"; key: string; value?: undefined; revision: number; collapsed?: boolean };

/** An item of a watch. "reset": changes were missed, and nothing that was known before counts. */
export type WatchChange<T = unknown> = Change<T> | { type: "reset" };

/** A change of a map. "reset": all of it has been replaced in one step. "synced": it is as the server has it, and follows.
 * "ended": it no longer follows. */
export type MapChange<T = unknown> = Change<T> | { type: "reset" | "synced" } | { type: "ended"; error: KvError };

/** A live mirror. Without a gap: after a reconnect it continues where it was. */
export interface KvMap<T = unknown> extends Iterable<[string, T]> {
  readonly size: number;
  /** Whether it is as the server has it, as far as can be known here. */
  readonly synced: boolean;
  /** Resolves when it is synced for the first time, and rejects if it ends before that. */
  readonly ready: Promise<this>;
  /** The reason why it has ended. */
  readonly error?: KvError;
  /** Differs after each change. */
  readonly version: number;
  get(key: string): T | undefined;
  has(key: string): boolean;
  entry(key: string): Entry<T> | undefined;
  keys(): IterableIterator<string>;
  values(): IterableIterator<T>;
  entries(): IterableIterator<[string, T]>;
  /** Returns a function that ends it. */
  subscribe(callback: (change: MapChange<T>) => void): () => void;
  close(): void;
}

export interface Watch<T = unknown> extends AsyncIterableIterator<WatchChange<T>> {
  close(): void;
}

export interface Listed<T = unknown> {
  key: string;
  revision: number;
  ttl?: number;
  /** With `values: true`. */
  value?: T;
  prefix?: undefined;
}

/** The keys below a prefix, folded at the delimiter. */
export interface Folded {
  prefix: string;
  key?: undefined;
}

export interface Client {
  readonly state: State;
  /** Returns a function that ends it. */
  onState(callback: (state: State, error?: Error) => void): () => void;

  get<T = unknown>(key: string, options?: Abortable & Raw): Promise<Entry<T> | null>;
  set(key: string, value: unknown, options?: SetOptions): Promise<{ key: string; revision: number }>;
  delete(key: string, options?: Abortable & { ifRevision?: number }): Promise<void>;
  /** Compares and sets until nobody came in between. `change` may be called several times; if it returns
   * undefined, nothing is written. The deadline stays unless a `ttl` is given. */
  update<T = unknown>(
    key: string,
    change: (value: T | undefined, entry: Entry<T> | null) => T | undefined | Promise<T | undefined>,
    options?: Abortable & Raw & { ttl?: Ttl },
  ): Promise<Entry<T> | null>;
  /** Sets only the deadline. Returns whether the key has a value. */
  touch(key: string, ttl: Ttl, options?: Abortable): Promise<boolean>;
  increment(key: string, by?: number | bigint, options?: Abortable & Raw & { ttl?: Ttl }): Promise<Entry<number>>;
  /** A merge patch (RFC 7396). */
  merge<T = unknown>(key: string, patch: unknown, options?: Abortable & Raw): Promise<Entry<T>>;

  /** In byte order, in pages of `limit`, by HTTP. */
  list<T = unknown>(
    what?: { prefix?: string; delimiter?: string; values?: boolean; limit?: number },
    options?: Abortable & Raw,
  ): AsyncGenerator<Listed<T> | Folded, void, void>;

  /** The changes from now on. A consumer that is behind by more than `buffer` (1,024) changes gets only the
   * newest of each key; if those are too many as well, the watch ends with an error. */
  watch<T = unknown>(what: Pattern, options?: Abortable & { buffer?: number }): Watch<T>;
  map<T = unknown>(what: Pattern, options?: Abortable): KvMap<T>;
  /** Calls back with the present state and with each later one; null: no value. Returns a function that ends it. */
  on<T = unknown>(
    key: string,
    callback: (entry: Entry<T> | null) => void,
    options?: Abortable & { onError?: (error: KvError) => void },
  ): () => void;

  close(): void;
}

/** url: of the server or of its WebSocket, as http, https, ws or wss, or relative to the page; "/ws" unless given. */
export function connect(url?: string | URL, options?: ConnectOptions): Client;

export class KvError extends Error {
  /** The HTTP status of the same refusal; 0: none. */
  readonly status: number;
  /** True for a write that may have taken effect nevertheless. */
  readonly ambiguous?: boolean;
}
/** A condition does not hold. */
export class KvConflict extends KvError {}
/** The right has not been granted, or there is no valid token. */
export class KvForbidden extends KvError {}
/** There is no connection, or the server cannot do it for now. */
export class KvUnavailable extends KvError {}

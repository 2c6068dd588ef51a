import type { Client } from "./client.js";

/** The value of a key; undefined while it is not known, and where there is none. */
export function useKey<T = unknown>(kv: Client, key: string): T | undefined;

/** The values below a prefix as a Map; each change makes a new one. */
export function usePrefix<T = unknown>(kv: Client, prefix: string): ReadonlyMap<string, T>;

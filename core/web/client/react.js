// KvServer's client in React: components that follow keys.
import { useMemo, useSyncExternalStore } from "react";

// What useSyncExternalStore needs: the mirror is there while somebody is subscribed.
function storeOf(kv, what, read) {
  let map, version, snapshot;
  return {
    subscribe(callback) {
      map = kv.map(what);
      version = undefined;
      const off = map.subscribe(callback);
      const mine = map;
      return () => {
        off();
        mine.close();
        if (map === mine) map = undefined;
      };
    },
    read() {
      if (map?.synced && version !== map.version) {
        version = map.version;
        snapshot = read(map);
      }
      return snapshot;
    },
  };
}

/** The value of a key; undefined while it is not known, and where there is none. */
export function useKey(kv, key) {
  const store = useMemo(() => storeOf(kv, { key }, map => map.get(key)), [kv, key]);
  return useSyncExternalStore(store.subscribe, store.read, store.read);
}

const NONE = new Map();

/** The values below a prefix as a Map; each change makes a new one. */
export function usePrefix(kv, prefix) {
  const store = useMemo(() => storeOf(kv, { prefix }, map => new Map(map)), [kv, prefix]);
  return useSyncExternalStore(store.subscribe, store.read, store.read) ?? NONE;
}

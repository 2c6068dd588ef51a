// Whether a flag is on for a user; the page and the backends share this rule. A user always gets the same
// answer for the same share, and users who have a feature keep it when the share grows.
export function isOn(flag, name, user = "") {
  return flag?.on === true && hash(`${name}/${user}`) % 100 < (flag.percent ?? 100);
}

// FNV-1a, mixed once more, as its low bits alone are uneven.
function hash(text) {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}

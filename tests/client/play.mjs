// The script of core/web/conformance as scenarios: lists of lines.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

// Each: {name, allow, tokens, steps}.
export function scenarios() {
  const all = [];
  const file = new URL("../../core/web/conformance/protocol.jsonl", import.meta.url);
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (!line) continue;
    const step = JSON.parse(line);
    if (step.scenario) all.push({ name: step.scenario, ...step, steps: [] });
    else all.at(-1).steps.push(step);
  }
  return all;
}

// Inserts the values of variables. choose: returns a value for a new variable.
export function fill(value, variables, choose) {
  if (typeof value === "string" && value.startsWith("$")) {
    if (!variables.has(value)) variables.set(value, choose(value));
    return variables.get(value);
  }
  if (Array.isArray(value)) return value.map(one => fill(one, variables, choose));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, fill(one, variables, choose)]));
}

// Whether a value matches the pattern; objects may have more members. New variables get their values.
export function matches(pattern, value, variables) {
  if (typeof pattern === "string" && pattern.startsWith("$")) {
    if (!variables.has(pattern)) variables.set(pattern, value);
    return variables.get(pattern) === value;
  }
  if (pattern === null || typeof pattern !== "object" || Array.isArray(pattern)) return isDeepStrictEqual(pattern, value);
  return value !== null && typeof value === "object" &&
    Object.entries(pattern).every(([name, one]) => matches(one, value[name], variables));
}

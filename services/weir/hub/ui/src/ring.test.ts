import { expect, test } from "vitest";
import { ORDER, Ring } from "./ring";
import type { Entry } from "./types";

const entry = (id: string, timestamp: number, more: Partial<Entry> = {}) => ({ id, timestamp, ...more }) as Entry;
const ids = (ring: Ring) => Array.from({ length: ring.length }, (_, age) => ring.at(age)?.id).join("");

test("the newest come first and the oldest go", () => {
  const ring = new Ring(3);
  ring.add([entry("a", 1), entry("b", 2), entry("c", 3), entry("d", 4)]);
  expect(ids(ring)).toBe("dcb");
  expect(ring.at(3)).toBeUndefined();
  expect(ring.ageOf("b")).toBe(2);
  expect(ring.ageOf("a")).toBe(-1);
  expect(ring.full).toBe(true);
});

test("what comes late takes its place in time", () => {
  const ring = new Ring(10);
  ring.add([entry("e", 50), entry("a", 10)]);
  ring.add([entry("c", 30), entry("b", 20), entry("f", 60)]);
  ring.add([entry("d", 40)]);
  expect(ids(ring)).toBe("fedcba");
  expect([..."fedcba"].map((id) => ring.ageOf(id))).toEqual([0, 1, 2, 3, 4, 5]);
});

test("of the same time, the order is that of the ids", () => {
  const ring = new Ring(10);
  ring.add([entry("b", 1), entry("c", 1), entry("a", 1)]);
  expect(ids(ring)).toBe("cba");
});

test("an entry is kept once, in its highest version", () => {
  const ring = new Ring(10);
  ring.add([entry("a", 1, { version: 1, summary: "open" }), entry("b", 2)]);
  ring.add([entry("a", 1, { version: 2, summary: "closed" })]);
  ring.add([entry("a", 1, { version: 1, summary: "late" })]);
  expect(ids(ring)).toBe("ba");
  expect(ring.get("a")?.summary).toBe("closed");
  ring.add([entry("c", 3, { version: 2 }), entry("c", 3, { version: 1 })]);
  expect(ring.get("c")?.version).toBe(2);
});

test("a version with another time moves", () => {
  const ring = new Ring(10);
  ring.add([entry("a", 1), entry("b", 2)]);
  ring.add([entry("a", 3, { version: 2 })]);
  expect(ids(ring)).toBe("ab");
});

test("an entry that is to be hidden takes its earlier version away", () => {
  const ring = new Ring(10);
  const hidden = (e: Entry) => e.version === 2;
  ring.add([entry("a", 1), entry("b", 2)], hidden);
  ring.add([entry("a", 1, { version: 2 }), entry("z", 9, { version: 2 })], hidden);
  expect(ids(ring)).toBe("b");
});

test("places stay right after many rounds", () => {
  const ring = new Ring(5);
  for (let n = 0; n < 100; n += 1) ring.add([entry(String(n), n)]);
  expect(ring.ageOf("99")).toBe(0);
  expect(ring.ageOf("95")).toBe(4);
  ring.clear();
  expect(ring.length).toBe(0);
});

test("other orders are those of the archive", () => {
  const entries = [entry("a", 1, { elapsed_time: 5, ok: false }), entry("b", 2, { elapsed_time: 9, ok: true }), entry("c", 3, { elapsed_time: 5, ok: false })];
  const found = (Object.keys(ORDER) as (keyof typeof ORDER)[]).map((order) => {
    const ring = new Ring(10, ORDER[order]);
    ring.add(entries);
    expect(ring.ageOf(ids(ring)[1]!)).toBe(1);
    return `${order} ${ids(ring)}`;
  });
  expect(found).toEqual(["newest cba", "oldest abc", "slowest bca", "failed cab"]);
});

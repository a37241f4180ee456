import { expect, test } from "vitest";
import { Ring } from "./ring";
import type { Entry } from "./types";

const entry = (id: string, version = 1, summary = "") => ({ id, version, summary }) as Entry;

test("the newest come first and the oldest go", () => {
  const ring = new Ring(3);
  expect(ring.add(["a", "b", "c", "d"].map((id) => entry(id)))).toBe(4);
  expect([0, 1, 2, 3].map((age) => ring.at(age)?.id)).toEqual(["d", "c", "b", undefined]);
  expect(ring.ageOf("b")).toBe(2);
  expect(ring.ageOf("a")).toBe(-1);
});

test("an entry is kept once, in its highest version", () => {
  const ring = new Ring(10);
  ring.add([entry("a", 1, "open"), entry("b")]);
  expect(ring.add([entry("a", 2, "closed")])).toBe(0);
  ring.add([entry("a", 1, "late")]);
  expect(ring.length).toBe(2);
  expect(ring.at(1)?.summary).toBe("closed");
});

test("places stay right after many rounds", () => {
  const ring = new Ring(5);
  for (let n = 0; n < 100; n += 1) ring.add([entry(String(n))]);
  expect(ring.ageOf("99")).toBe(0);
  expect(ring.ageOf("95")).toBe(4);
  ring.clear();
  expect(ring.length).toBe(0);
});

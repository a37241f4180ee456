import { expect, test } from "vitest";
import { bodyText, day, duration, host, inert, outcome, size, where } from "./format";
import type { Entry } from "./types";

test("numbers are short", () => {
  expect([duration(0), duration(850), duration(1200), duration(3_400_000)]).toEqual(["–", "850 µs", "1.2 ms", "3.4 s"]);
  expect([size(512), size(1500), size(20_100_000)]).toEqual(["512 B", "1.5 kB", "20.1 MB"]);
});

test("peers are named as well as they can be", () => {
  expect(where({ ip: "10.0.0.1", port: 80, name: "cart", namespace: "shop" })).toBe("cart.shop:80");
  expect(where({ ip: "fe80::1", port: 80 })).toBe("[fe80::1]:80");
  expect(host({})).toBe("");
});

test("an outcome reads without colour", () => {
  const entry = { id: "1" } as Entry;
  expect(outcome({ ...entry, ok: false }).mark).toBe("✕");
  expect(outcome({ ...entry, ok: true }).mark).toBe("✓");
  expect(outcome({ ...entry, incomplete: ["x"] }).name).toBe("incomplete");
});

test("bodies are shown for people", () => {
  expect(bodyText({ text: '{"a":1}' })).toBe('{\n  "a": 1\n}');
  expect(bodyText({ text: '{"a":', truncated: true })).toBe('{"a":');
  expect(bodyText({ text: "{not json" })).toBe("{not json");
  expect(bodyText({ data: "AEH/" })).toContain("00 41 ff");
});

test("hostile characters are made visible", () => {
  expect(inert("a\u202eb\u001b[0m\u0000\u007f\u0085")).toBe("a\\u202eb␛[0m␀␡\\u0085");
  expect(inert("tab\tline\n ünïcode")).toBe("tab\tline\n ünïcode");
});

test("the day is said where it is not today", () => {
  const now = new Date("2026-03-01T12:00:00").getTime();
  expect(day(now * 1e6, now)).toBe("");
  expect(day((now - 86_400_000 * 3) * 1e6, now)).toBe("26 Feb ");
  expect(day(NaN, now)).toBe("");
});

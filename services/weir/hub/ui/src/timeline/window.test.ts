import { describe, expect, it } from "vitest";
import { LossLog, lostWithin } from "./losses";
import { around, barsOf, bounds, bucketOf, merged, momentOf, ticks, timeOf, usualOf, wider, windowOf } from "./window";
import type { Statistics } from "../types";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const group = (at: number, more: Partial<Statistics> = {}): Statistics => ({
  key: [], since_ns: at * 1e6, count: 10, entries: 10, errors: 0, p50_us: 1, p95_us: 2, p99_us: 3, bytes: 0, flow_bytes: 0, ...more,
});

describe("the window", () => {
  it("is the last quarter of an hour unless a time was chosen", () => {
    expect(windowOf({ since: "", until: "" }, NOW)).toEqual({ from: NOW - 900_000, to: NOW, bucket: 10, moving: true });
    expect(windowOf({ since: "1h", until: "" }, NOW)).toMatchObject({ from: NOW - 3_600_000, to: NOW, bucket: 30, moving: true });
    expect(windowOf({ since: "", until: "5m" }, NOW)).toMatchObject({ to: NOW - 300_000, moving: false });
    const chosen = { since: "2026-03-01T11:00:00Z", until: String((NOW - 3_540_000) * 1e6) };
    expect(windowOf(chosen, NOW)).toMatchObject({ from: NOW - 3_600_000, to: NOW - 3_540_000, bucket: 1, moving: false });
  });
  it("is shorter while less is kept, in steps", () => {
    const spans = [1, 110, 130, 290, 310, 3600].map((age) => usualOf(NOW, NOW - age * 1000) / 60_000);
    expect([...spans, usualOf(NOW) / 60_000]).toEqual([2, 2, 5, 5, 15, 15, 15]);
    expect(windowOf({ since: "", until: "" }, NOW, NOW - 1000, 120_000)).toEqual({ from: NOW - 120_000, to: NOW, bucket: 1, moving: true });
    expect(windowOf({ since: "", until: "5m" }, NOW, undefined, 120_000)).toMatchObject({ from: NOW - 1_200_000 });
  });
  it("goes to where the entries are, if they are of long ago", () => {
    const old = NOW - 86_400_000;
    expect(windowOf({ since: "", until: "" }, NOW, old)).toMatchObject({ to: old + 60_000, moving: false });
    expect(windowOf({ since: "15m", until: "" }, NOW, old)).toMatchObject({ to: NOW, moving: true });
  });
  it("never has more bars than can be told apart, and is never empty", () => {
    for (const span of [1000, 60_000, 3_600_000, 86_400_000, 1e12]) expect(span / 1000 / bucketOf(span)).toBeLessThanOrEqual(120);
    const wrong = windowOf({ since: "2026-03-01T12:00:00Z", until: "2026-03-01T11:00:00Z" }, NOW);
    expect(wrong.to - wrong.from).toBe(1000);
  });
});

describe("bars", () => {
  const window = windowOf({ since: "", until: "" }, NOW);
  it("are rates, and tell what share was decoded", () => {
    const [bar] = barsOf([group(NOW - 10_000, { count: 40, errors: 4 })], window);
    expect(bar).toMatchObject({ rate: 4, errors: 0.4, share: 0.25 });
    expect(barsOf([group(NOW + 1), group(NOW - 10_000_000)], window)).toEqual([]);
    expect(barsOf([group(NOW - 10_000, { count: 0, entries: 0 })], window)[0]!.share).toBe(1);
  });
  it("are brought up to date, and forgotten when they are out of sight", () => {
    const known = merged(new Map(), [group(NOW - 905_000), group(NOW - 10_000)], window);
    expect([...known.keys()].length).toBe(2);
    const later = merged(known, [group(NOW - 10_000, { count: 99 }), group(NOW)], { ...window, from: window.from + 10_000, to: window.to + 10_000 });
    expect([...later.values()].map((one) => one.count)).toEqual([99, 10]);
  });
});

describe("times", () => {
  it("are read as the API reads them", () => {
    expect(timeOf("15m", NOW)).toBe(NOW - 900_000);
    expect(timeOf("1790000000000000000", NOW)).toBe(1_790_000_000_000);
    expect(["", "soon", "15x"].map((text) => timeOf(text, NOW))).toEqual([undefined, undefined, undefined]);
  });
  it("are read as people write them", () => {
    const at = new Date(NOW);
    at.setHours(3, 12, 5, 0);
    if (at.getTime() > NOW) at.setDate(at.getDate() - 1);
    expect(momentOf(" 03:12:05 ", NOW)).toBe(at.getTime());
    expect(momentOf("3h", NOW)).toBe(NOW - 3 * 3_600_000);
    expect(momentOf("2026-02-28 10:00", NOW)).toBe(new Date("2026-02-28T10:00").getTime());
    expect(["25:00", "03:61", "now", "", "12"].map((text) => momentOf(text, NOW))).toEqual(Array(5).fill(undefined));
  });
  it("are ticked at round ones", () => {
    const found = ticks({ from: NOW - 900_000, to: NOW }, 6);
    expect(found.length).toBeGreaterThan(2);
    expect(found.every((one) => one % 300_000 === 0)).toBe(true);
  });
  it("go wider, but not beyond now", () => {
    expect(wider({ from: NOW - 1000, to: NOW }, NOW)).toEqual({ from: NOW - 3000, to: NOW });
    expect(wider({ from: NOW - 9000, to: NOW - 8000 }, NOW)).toEqual({ from: NOW - 10_000, to: NOW - 7000 });
    expect(bounds(around(NOW))).toEqual({ since: "2026-03-01T11:59:30.000Z", until: "2026-03-01T12:00:30.000Z" });
  });
});

describe("losses", () => {
  it("are where they happened", () => {
    const log = new LossLog();
    const mark = (from: number, to: number, count: number) => ({ from_ns: from * 1e6, to_ns: to * 1e6, what: "x.y", count });
    log.take([mark(1000, 2000, 30), mark(2000, 3000, 4)]);
    expect(lostWithin(log.marks, 2500, 9000)).toBe("lost 4 (x.y)");
    expect(lostWithin(log.marks, 0, 9000)).toBe("lost 34 (x.y)");
    expect(lostWithin(log.marks, 5000, 9000)).toBe("");
    log.take([mark(2000, 3000, 4)]);
    expect(log.marks.map((one) => one.count)).toEqual([4]);
  });
  it("of this page are kept beside them, and no more than can be drawn", () => {
    const log = new LossLog();
    for (let n = 0; n < 600; n += 1) log.add({ from: n, to: n, what: "y", count: 1 });
    expect(log.marks.length).toBe(100);
    log.take([{ from_ns: 0, to_ns: 1e6, what: "x", count: 1 }]);
    expect(log.marks.length).toBe(101);
  });
});

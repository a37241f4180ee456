import { expect, test } from "vitest";
import { perSecond } from "../format";
import { runs } from "./plot";
import { named } from "./range";
import { told } from "./timeline";
import type { Bar } from "./window";

const bar = (at: number, more: Partial<Bar> = {}): Bar => ({ at, rate: 10, errors: 0, p50: 1000, p95: 2000, p99: 3000, share: 1, ...more });

test("a bar is told in words", () => {
  expect(told(0, 10, bar(0, { rate: 20, errors: 1, share: 0.25 }), "lost 3 (x.y)")).toMatch(
    /:00:00, 10 s · 20\/s · ✕ 1\.0\/s failed \(5\.0 %\) · p50 1\.0 ms, p95 2\.0 ms, p99 3\.0 ms · 25 % of it decoded, the rest estimated · ▼ lost 3 \(x\.y\)$/,
  );
  expect(told(0, 1, undefined, "")).toMatch(/ · nothing$/);
  expect(told(0, 1, bar(0, { p99: 0 }), "")).toMatch(/ · 10\/s · none failed$/);
});

test("rates are short", () => {
  expect([0.25, 3.14159, 42.4, 12_345].map(perSecond)).toEqual(["0.25/s", "3.1/s", "42/s", "12k/s"]);
});

test("latencies are not drawn over a gap", () => {
  expect(runs([bar(0), bar(1000), bar(5000)], 1000).map((run) => run.length)).toEqual([2, 1]);
  expect(runs([], 1000)).toEqual([]);
});

test("a time has a name", () => {
  const now = Date.parse("2026-03-01T12:00:00Z");
  expect(named({ since: "", until: "" }, now)).toBe("All time");
  expect(named({ since: "15m", until: "" }, now)).toBe("Last 15 minutes");
  expect(named({ since: "2026-03-01T11:00:00Z", until: "2026-03-01T11:30:00Z" }, now)).toMatch(/^\d\d:00:00 – \d\d:30:00$/);
  expect(named({ since: "", until: "nonsense" }, now)).toBe("Until nonsense");
});

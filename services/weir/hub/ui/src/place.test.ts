import { describe, expect, it } from "vitest";
import { HOME, isLive, type Place, read, worthKeeping, written } from "./place";

const SOMEWHERE: Place = {
  view: "map", filter: 'path == "/a b&c" && x != "ü"', since: "2026-01-31T12:00:00Z", until: "1790000000000000000", order: "slowest", hidden: true, id: "a/b+c",
};

describe("a place", () => {
  it("comes back from its URL", () => {
    expect(read(written(SOMEWHERE))).toEqual(SOMEWHERE);
    expect(written(HOME)).toBe("");
    expect(read("")).toEqual(HOME);
  });
  it("is home where the URL says nothing that can be understood", () => {
    expect(read("?view=nothing&order=__proto__&token=x&hidden=1")).toEqual(HOME);
    expect(read(`?filter=${"x".repeat(9000)}`).filter.length).toBe(4096);
  });
  it("is live without an end and with the newest first", () => {
    expect(isLive({ ...HOME, since: "15m" })).toBe(true);
    expect(isLive({ ...HOME, until: "15m" })).toBe(false);
    expect(isLive({ ...HOME, order: "failed" })).toBe(false);
  });
  it("is worth going back to, but not each entry on a walk", () => {
    expect(worthKeeping(HOME, { ...HOME, id: "a" })).toBe(true);
    expect(worthKeeping({ ...HOME, id: "a" }, { ...HOME, id: "b" })).toBe(false);
    expect(worthKeeping({ ...HOME, id: "a" }, HOME)).toBe(false);
    expect(worthKeeping(HOME, { ...HOME, filter: "http" })).toBe(true);
    expect(worthKeeping(HOME, { ...HOME, view: "state" })).toBe(true);
  });
});

import { expect, test } from "vitest";
import { accepted, isWhole, pieces, recent, remember, unfinished, whole } from "./write";

const drawn = (text: string, position?: number, length?: number) =>
  pieces(text, position === undefined ? undefined : { ok: false, position, length: length ?? 0 })
    .map((one) => (one.wrong ? `[${one.text}]` : one.text))
    .join("");

test("the wrong piece is marked, wherever it begins and ends", () => {
  expect(drawn("http && status_cod > 5", 8, 10)).toBe("http && [status_cod] > 5");
  expect(drawn("src.nam == 1", 4, 3)).toBe("src.[nam] == 1");
  expect(drawn("a == b", 2, 4)).toBe("a [==][ ][b]");
  expect(drawn("a", 0, 99)).toBe("[a]");
  expect(drawn("a &&", 4)).toBe("a &&[\u00a0]");
  expect(drawn("a = b", 2)).toBe("a [=] b");
});

test("what is right, or wrong without a place, has no mark", () => {
  expect(drawn("a && b")).toBe("a && b");
  expect(pieces("a", { ok: true }).some((one) => one.wrong)).toBe(false);
  expect(pieces("a", { ok: false, error: "too deep" }).some((one) => one.wrong)).toBe(false);
});

test("words of the language have a colour of their own", () => {
  expect(pieces('x in ["a"] && !true').map((one) => one.kind).filter((kind) => kind !== "space" && kind !== "sign")).toEqual(["name", "word", "text", "word"]);
});

test("who is still writing is not told that it is not finished", () => {
  expect(unfinished("http && sta", { ok: false, position: 8, length: 3 })).toBe(true);
  expect(unfinished("http && ", { ok: false, position: 8, length: 0 })).toBe(true);
  expect(unfinished("htp && dns", { ok: false, position: 0, length: 3 })).toBe(false);
});

test("an option takes the place that the hub names", () => {
  expect(accepted("http && sta == 5", { start: 8, end: 11, options: [] }, { text: "status_code", kind: "variable" })).toEqual({
    text: "http && status_code == 5", at: 19,
  });
});

test("whole filters are proposed once each", () => {
  const { options } = whole([{ name: "mine", text: "failed", macro: false }], ["failed", "dns"]);
  expect(options.map((one) => `${one.kind} ${one.text}`).slice(0, 3)).toEqual(["saved failed", "recent dns", "example http && status_code >= 500"]);
  expect(options.every(isWhole)).toBe(true);
});

test("filters of late are kept in the browser, whatever else lies there", () => {
  const kept = new Map<string, string>();
  const store = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
  remember(store, "a");
  remember(store, "b");
  remember(store, "a");
  remember(store, "");
  expect(recent(store)).toEqual(["a", "b"]);
  for (let n = 0; n < 50; n += 1) remember(store, `x${n}`);
  expect(recent(store).length).toBe(30);
  kept.set("weir.filters", "{not json");
  expect(recent(store)).toEqual([]);
  kept.set("weir.filters", '[1, "ok", null]');
  expect(recent(store)).toEqual(["ok"]);
  const full = { getItem: () => null, setItem: () => { throw new DOMException("full"); } };
  expect(() => remember(full, "a")).not.toThrow();
  expect(recent(undefined)).toEqual([]);
});

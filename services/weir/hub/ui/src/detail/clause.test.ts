import { expect, test } from "vitest";
import type { Entry } from "../types";
import { clause, inBody, item, negated, peer, quote, similar, variable } from "./clause";

test("texts are quoted so that the filter language reads them back", () => {
  expect(quote('a "b" \\ c')).toBe('"a \\"b\\" \\\\ c"');
  expect(quote("a\nb\u202ec\u0000")).toBe('"a\\u000ab\\u202ec\\u0000"');
});

test("a value becomes the condition of its type", () => {
  expect(clause("status_code", 500)).toBe("status_code == 500");
  expect(clause("method", "GET")).toBe('method == "GET"');
  expect([clause("tls", true), clause("ok", false)]).toEqual(["tls", "!ok"]);
  expect(clause("dns_answers", ["10.0.0.1"])).toBe('"10.0.0.1" in dns_answers');
  expect([clause("dns_answers", ["a", "b"]), clause("x", null), clause("n", Infinity)]).toEqual([undefined, undefined, undefined]);
  expect(clause("path", `/${"a".repeat(300)}`)).toBe(`path.startsWith("/${"a".repeat(199)}")`);
  expect(clause("request.end", 1_790_000_000_000_000_000)).toBe('request.end >= timestamp("2026-09-21T14:13:20.000Z")');
});

test("keys that are no names stand in brackets", () => {
  expect(item("request.headers", 'x-"y')).toBe('request.headers["x-\\"y"]');
  expect(variable(["src", "labels", "app.kubernetes.io/name"])).toBe('src.labels["app.kubernetes.io/name"]');
});

test("ends are told by name, else by address", () => {
  expect(peer("src", { name: "cart", namespace: "shop", ip: "10.0.0.1" })).toBe('src.name == "cart" && src.namespace == "shop"');
  expect(peer("dst", { ip: "1.1.1.1" })).toBe('dst.ip == "1.1.1.1"');
  expect(peer("dst", {})).toBe(undefined);
});

test("others like an entry", () => {
  const entry = { protocol: "http", kind: "exchange", src: { name: "a" }, dst: { name: "b" }, method: "GET", path: "/x", status_code: 500, ok: false } as unknown as Entry;
  expect(similar(entry)).toBe('http && dst.name == "b" && method == "GET" && path == "/x" && status_code == 500');
  expect(similar({ ...entry, kind: "flow", protocol: "tcp" })).toBe('protocol == "tcp" && src.name == "a" && dst.name == "b" && failed');
});

test("what a body says, and all others", () => {
  expect(inBody("request", '"item":23')).toBe('request.body.text.contains("\\"item\\":23")');
  expect([negated("tls"), negated("a == 1 && b")]).toEqual(["!tls", "!(a == 1 && b)"]);
});

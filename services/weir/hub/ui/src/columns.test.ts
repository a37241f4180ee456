import { expect, test } from "vitest";
import { cell, columnsOf, said } from "./columns";
import type { Entry, Field } from "./types";

const field = (name: string, column: string, ...protocols: string[]): Field => ({ name, type: "str", doc: "", column, protocols });
const FIELDS = [field("method", "Method", "http", "grpc"), field("path", "Path", "http"), field("dns_name", "Name", "dns"), field("dns_id", "", "dns")];

test("a protocol's columns are those that it declares", () => {
  expect(columnsOf("http", FIELDS).map((one) => one.title)).toEqual(["Method", "Path"]);
  expect(columnsOf("dns", FIELDS).map((one) => one.name)).toEqual(["dns_name"]);
  expect(columnsOf("redis", FIELDS)).toEqual([]);
  expect(columnsOf(undefined, FIELDS)).toEqual([]);
});

test("every kind of value has a text", () => {
  const entry = { id: "1", a: ["x", { y: 1 }], n: 0, f: false, m: { k: [1] }, src: { port: 80 } } as unknown as Entry;
  expect(["a", "n", "f", "m", "src.port", "none", "n.x", "src.none.x"].map((name) => cell(entry, name))).toEqual([
    'x, {"y":1}', "0", "false", '{"k":[1]}', "80", "", "", "",
  ]);
});

test("the line of a call is told in three parts", () => {
  const entry = (summary: string, method?: unknown) => ({ summary, method }) as unknown as Entry;
  expect(said(entry("GET /a → b → 200", "GET"))).toEqual({ method: "GET", path: "/a → b", status: "200" });
  expect(said(entry("GET /a", "GET"))).toEqual({ method: "GET", path: "/a", status: "" });
  expect(said(entry("A cart → 10.0.0.1"))).toBeUndefined();
  expect(said(entry("POST /x", "GET"))).toBeUndefined();
});

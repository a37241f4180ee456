import { expect, test } from "vitest";
import type { Entry } from "../types";
import { immense, imageType, kinds } from "./body/kind";
import { sent, set } from "./cookies";
import { marks } from "./marks";
import { cookieRows, fieldRows, headerRows, peerRows } from "./rows";
import { parts, whole } from "./timing";

const entry = (more: object) => ({ id: "e", timestamp: 1, protocol: "http", kind: "exchange", flow_id: "f", src: {}, dst: {}, ...more }) as Entry;

test("marks are told in words", () => {
  const found = marks(entry({ incomplete: ["end not seen"], weird: ["odd"], sample_rate: 0.1, lost_bytes: 2_000, tags: ["probe", "x"], request: { body: { text: "ä", size: 5_000_000, truncated: true, encoding: "?br" } } }));
  expect(found.map(({ what, says }) => `${what}: ${says}`)).toEqual([
    "Incomplete: end not seen", "Weird: odd", "Cut: The first 2 B of the request's body (5.0 MB) are kept.", "Coded: The request's body could not be read as br: it is shown as it came.",
    "Lost: 2.0 kB of this conversation were on the wire and were not captured.", "Sampled: 1 of 10 conversations is kept here: this entry stands for about 10.",
    "Tagged: A probe of the kubelet. Lists leave it out unless they are asked for it.", "Tagged: x",
  ]);
  expect(marks(entry({ sample_rate: 1 }))).toEqual([]);
  expect(marks(entry({ has_pcap: true }))[0]?.says).toContain("cannot hand them out");
});

test("cookies have rows of their own", () => {
  const request = { headers: { cookie: 'a=1; b="x=y"; broken; =z', accept: "*/*" } };
  expect(sent(request).map(({ name, value }) => [name, value])).toEqual([["a", "1"], ["b", '"x=y"']]);
  expect(headerRows("request", request).map(({ name }) => name)).toEqual(["accept"]);
  const response = { headers: { "set-cookie": "s=1; Path=/; HttpOnly\nt=2" } };
  expect(set(response)[0]).toEqual({ name: "s", value: "1", attributes: "Path=/; HttpOnly" });
  expect(cookieRows("response", response)[1]).toEqual({ name: "t", value: "2", more: "", condition: 'response.cookies["t"] == "2"' });
});

test("fields and ends with what selects them", () => {
  const rows = fieldRows(entry({ dns_answers: ["10.0.0.1", "10.0.0.2"], dns_edns: { do: "1" }, odd: { a: { b: [1] } }, dns_records: [{ type: "A", ttl: 30 }] }));
  expect(rows[4]).toEqual({ name: "dns_records", value: "type A · ttl 30", condition: undefined });
  expect(rows.slice(0, 4).map(({ name, value, condition }) => [name, value, condition])).toEqual([
    ["dns_answers", "10.0.0.1", '"10.0.0.1" in dns_answers'], ["", "10.0.0.2", '"10.0.0.2" in dns_answers'], ["do", "1", 'dns_edns["do"] == "1"'], ["a", '{"b":[1]}', undefined],
  ]);
  const peer = { name: "cart-1", namespace: "shop", ip: "10.0.0.1", service: { name: "cart" }, labels: { app: "cart" } };
  expect(peerRows("src", peer).map(({ condition }) => condition)).toEqual([
    'src.name == "cart-1"', 'src.namespace == "shop"', 'src.service.name == "cart"', 'src.ip == "10.0.0.1"', 'src.labels["app"] == "cart"',
  ]);
});

test("a value that nests too deeply is not shown, and nothing breaks", () => {
  let deep: unknown = 1;
  for (let n = 0; n < 100_000; n += 1) deep = { a: deep };
  expect(fieldRows(entry({ deep }))[0]?.value).toBe("(nested too deeply to be shown)");
});

test("parts of an exchange in time", () => {
  const found = parts(entry({ request: { timestamp: 1_000_000, end: 2_000_000 }, response: { timestamp: 5_000_000, end: 6_000_000 } }));
  expect(found.map(({ from, us }) => [from, us])).toEqual([[0, 1000], [1000, 3000], [4000, 1000]]);
  expect(whole(found)).toBe(5000);
  expect(parts(entry({ request: { timestamp: 1 } }))).toEqual([]);
  expect(whole(parts(entry({ request: { timestamp: 1000, end: 9000 }, response: { timestamp: 2000, end: 500 } })))).toBe(8);
});

test("how a body is best shown", () => {
  expect(kinds({ text: ' {"a":1}' }, "")).toEqual(["json", "text", "hex"]);
  expect(kinds({ text: "a=1" }, "application/x-www-form-urlencoded; charset=utf-8")[0]).toBe("form");
  expect(kinds({ text: "<html>" }, "text/html")[0]).toBe("xml");
  expect(kinds({ text: "12" }, "application/problem+json")[0]).toBe("json");
  expect(kinds({ data: btoa("\x89PNG\r\n\x1a\n....") }, "text/html")).toEqual(["image", "hex"]);
  expect(kinds({ data: "AAEC" }, "image/png")).toEqual(["hex"]);
  expect(kinds({ size: 3 }, "")).toEqual([]);
  expect(imageType("%%%")).toBe("");
});

test("a small file may be an immense picture", () => {
  const png = new Uint8Array(24);
  new DataView(png.buffer).setUint32(16, 60_000);
  new DataView(png.buffer).setUint32(20, 60_000);
  expect([immense(png, "image/png"), immense(new Uint8Array(24), "image/png"), immense(png, "image/jpeg")]).toEqual([true, false, false]);
});

import { expect, test } from "vitest";
import type { Entry } from "../types";
import { curl, sendable, shell } from "./curl";

const call = (more: object) => ({ protocol: "http", method: "GET", url: "http://pay.shop/x", request: {}, src: {}, dst: { ip: "10.0.0.2", port: 80 }, ...more }) as unknown as Entry;

test("words of the shell end where they should", () => {
  expect(shell("plain-1.2")).toBe("plain-1.2");
  expect(shell("it's $(rm -rf /) `x`")).toBe("'it'\\''s $(rm -rf /) `x`'");
  expect(shell("a'\u001b[31m\nb\\")).toBe("$'a\\'\\u001b[31m\\nb\\\\'");
});

test("method, headers and body are those of the request", () => {
  const request = { headers: { host: "pay.shop", "content-length": "3", "content-type": "text/plain", "x-empty": "", ":path": "/x", "accept-encoding": "gzip" }, body: { text: "@a'" } };
  expect(curl(call({ method: "PUT", request }))).toBe(
    ["curl", "-X PUT", "--compressed", "http://pay.shop/x", "-H 'content-type: text/plain'", "-H 'x-empty;'", "--data-raw '@a'\\'''"].join(" \\\n  "),
  );
  expect(curl(call({ method: "POST", request: { body: { text: "a" } } }))).not.toContain("-X");
});

test("what cannot be sent again is said before the command", () => {
  const request = { headers: { authorization: "Bearer masked:12ab34cd" }, body: { data: "AAH/", truncated: true } };
  const said = curl(call({ method: "POST", url: "/../[a]", request }));
  expect(said.split("\n").slice(0, 2)).toEqual(["# masked by weir, fill in: authorization", "# the body was cut: this sends its beginning"]);
  expect(said).toContain("printf %s AAH/ | base64 -d | curl");
  expect(said).toContain("--globoff");
  expect(said).toContain("--path-as-is");
  expect(said).toContain("'http://10.0.0.2:80/../[a]'");
  expect(said).toContain("--data-binary @-");
});

test("what is no request of HTTP has no command", () => {
  expect(sendable(call({}))).toBe(true);
  expect(sendable(call({ method: "-o /etc/x" }))).toBe(false);
  expect(sendable(call({ protocol: "dns" }))).toBe(false);
});

import { describe, expect, it } from "vitest";
import { conditions, finding, has, hides, isPlain, join, protocolsIn, toggled, tokens, withProtocols, without } from "./filter";
import type { Entry } from "./types";

describe("tokens", () => {
  it("keeps every character, whatever is typed", () => {
    for (const text of ['http && path == "/a && b"', "status_code>=500//x", '"open', "b'\\'' §\n€", "a.b.c[0]", ""])
      expect(tokens(text).map((one) => one.text).join("")).toBe(text);
  });
  it("tells texts, numbers, names and signs apart", () => {
    expect(tokens('src.name != r"x" || n<0x1F').filter((one) => one.kind !== "space").map((one) => one.kind)).toEqual([
      "name", "sign", "text", "sign", "name", "sign", "number",
    ]);
  });
});

describe("conditions", () => {
  it("splits at the top only, and not within texts", () => {
    expect(conditions('http && (a || b) && path == "x && y" && l.exists(x, x == 1 && y)')).toEqual([
      "http", "(a || b)", 'path == "x && y"', "l.exists(x, x == 1 && y)",
    ]);
  });
  it("does not split what is not joined by and", () => {
    expect(conditions("a && b || c")).toEqual(["a && b || c"]);
    expect(conditions("a ? b : c && d")).toEqual(["a ? b : c && d"]);
    expect(conditions("a // b && c")).toEqual(["a // b && c"]);
    expect(conditions("  ")).toEqual([]);
  });
});

describe("join", () => {
  it("puts brackets around what binds less", () => {
    expect(join("a || b", "c")).toBe("(a || b) && c");
    expect(join("a", "b || c")).toBe("a && (b || c)");
    expect(join("a // why", "b")).toBe("(a // why\n) && b");
  });
  it("says nothing twice", () => {
    expect(join("a && b", "b")).toBe("a && b");
    expect(join("a", "a && b")).toBe("a && b");
    expect(join("", "a")).toBe("a");
    expect(join("a", " ")).toBe("a");
  });
});

describe("without and toggled", () => {
  it("takes away what was put there", () => {
    expect(without("a && failed && b", "failed")).toBe("a && b");
    expect(without("failed", "failed")).toBe("");
    expect(without("(a || b) && failed", "failed")).toBe("(a || b)");
    for (const filter of ["", "a", "a && b", "(a || b) && c"]) expect(toggled(toggled(filter, "failed"), "failed")).toBe(filter);
  });
  it("sees a condition only where it stands alone", () => {
    expect(has("a && failed", "failed")).toBe(true);
    expect(has("a || failed", "failed")).toBe(false);
    expect(has('path == "failed"', "failed")).toBe(false);
  });
});

describe("protocols", () => {
  it("are one condition of the filter", () => {
    expect(withProtocols("failed", ["http"])).toBe("http && failed");
    expect(withProtocols("http && failed", ["http", "dns"])).toBe("(http || dns) && failed");
    expect(withProtocols("(http || dns) && failed", [])).toBe("failed");
    expect(withProtocols("a || b", ["dns"])).toBe("dns && (a || b)");
    expect(withProtocols("", ["x-y"])).toBe('protocol == "x-y"');
  });
  it("are found again", () => {
    expect(protocolsIn("(http || dns) && failed")).toEqual(["http", "dns"]);
    expect(protocolsIn('path == "/" && protocol == "redis"')).toEqual(["redis"]);
    expect(protocolsIn("http || failed")).toEqual([]);
    expect(protocolsIn("failed")).toEqual([]);
  });
});

describe("plain words", () => {
  it("are told from filters", () => {
    for (const text of ["orders", "/api/v1", "GET /x", "cart.shop:80"]) expect(isPlain(text)).toBe(true);
    for (const text of ['path == "x"', "a && b", "a in b", "x > 1", ""]) expect(isPlain(text)).toBe(false);
  });
  it("are found as they are", () => {
    expect(finding("a.b")).toBe('summary.matches("(?i)a\\\\.b")');
  });
});

describe("hides", () => {
  const flow = { kind: "flow", conn_l7_detected: ["http"] } as unknown as Entry;
  it("leaves out connections whose calls are listed", () => {
    expect(hides("")(flow)).toBe(true);
    expect(hides('path == "tcp"')(flow)).toBe(true);
    expect(hides("")({ kind: "flow", conn_l7_detected: [] } as unknown as Entry)).toBe(false);
    expect(hides("")({ kind: "exchange" } as Entry)).toBe(false);
  });
  it("shows them where the filter speaks of connections", () => {
    for (const filter of ["tcp", 'flow_id == "x"', "conn_local_bytes > 5", "http || udp"]) expect(hides(filter)(flow)).toBe(false);
  });
});

import { expect, test } from "vitest";
import { failing, lines, path, rate, shortened, state, width, writings, written } from "./edges";
import { asMermaid, asSvg } from "./export";
import { BOX } from "./geometry";
import { covered } from "./giveway";
import { arranged, extent, towards } from "./layout";
import { fitted, inSight, revealing, zoomed } from "./pan";
import type { Call, MapNode, Places } from "./types";

const shop: Call[] = [["web", "cart"], ["web", "pay"], ["cart", "stock"], ["pay", "bank"], ["stock", "cart"], ["pay", "pay"]];
const names = ["web", "cart", "pay", "stock", "bank"];

function overlaps(places: Places): string[] {
  const all = [...places];
  return all.flatMap(([a, p], at) => all.slice(at + 1).filter(([, q]) => Math.abs(p.x - q.x) < BOX.width && Math.abs(p.y - q.y) < BOX.height).map(([b]) => `${a} ${b}`));
}

/** Many services that call one another, the same ones in every run. */
function many(count: number, calls: number): { nodes: string[]; calls: Call[] } {
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const nodes = Array.from({ length: count }, (_, at) => `s${String(at).padStart(3, "0")}`);
  const pairs = new Map<string, Call>();
  while (pairs.size < calls) {
    const call: Call = [nodes[random(count)]!, nodes[random(count)]!];
    pairs.set(call.join(), call);
  }
  return { nodes, calls: [...pairs.values()] };
}

test("callers stand left of whom they call, and boxes never overlap", () => {
  const places = arranged(names, shop);
  const x = (id: string) => places.get(id)!.x;
  expect([x("web") < x("cart"), x("web") < x("pay"), x("pay") < x("bank"), x("cart") < x("stock")]).toEqual([true, true, true, true]);
  expect(overlaps(places)).toEqual([]);
});

test("no line runs beneath a box where there is room", () => {
  const demo: Call[] = [
    ["visitors", "frontend"], ["visitors", "dns"], ["frontend", "catalog"], ["frontend", "checkout"], ["frontend", "dns"],
    ["checkout", "catalog"], ["checkout", "dns"], ["checkout", "payments"], ["catalog", "dns"],
  ];
  for (const calls of [demo, shop, [["a", "b"], ["b", "c"], ["a", "c"]] satisfies Call[]]) {
    const places = arranged([...new Set(calls.flat())], calls);
    expect([covered(places, calls), overlaps(places)]).toEqual([0, []]);
  }
});

test("the same calls in whatever order give the same map", () => {
  expect([...arranged([...names].reverse(), [...shop].reverse())].sort()).toEqual([...arranged(names, shop)].sort());
});

test("a hundred services and four hundred calls have room", () => {
  const { nodes, calls } = many(100, 400);
  const places = arranged(nodes, calls);
  expect(places.size).toBe(100);
  expect(overlaps(places)).toEqual([]);
  const { width: wide, height } = extent(places);
  expect(height).toBeLessThan(wide * 2);
});

test("what stands stays while others come and go", () => {
  const before = arranged(names, shop);
  const after = arranged(["web", "cart", "pay", "stock", "mail"], [...shop, ["cart", "mail"]], before);
  for (const id of ["web", "cart", "pay", "stock"]) expect(after.get(id)).toEqual(before.get(id));
  expect([after.has("bank"), after.get("mail")!.x > after.get("cart")!.x]).toEqual([false, true]);
  expect(overlaps(after)).toEqual([]);
});

test("newcomers stand beside those they are linked with, however they come", () => {
  let places = arranged(["a", "b"], [["a", "b"]]);
  const calls: Call[] = [["a", "b"]];
  for (let n = 0; n < 40; n += 1) {
    calls.push(["a", `c${n}`], [`d${n}`, "a"]);
    places = arranged([...places.keys(), `c${n}`, `d${n}`, `lonely${n}`], calls, places);
  }
  expect(overlaps(places)).toEqual([]);
  expect(places.get("c7")!.x).toBeGreaterThan(places.get("a")!.x);
  expect(places.get("d7")!.x).toBeLessThan(places.get("a")!.x);
});

test("another map is laid out afresh", () => {
  const before = arranged(names, shop);
  expect(arranged(["x", "y", "web"], [["x", "y"]], before)).toEqual(arranged(["x", "y", "web"], [["x", "y"]]));
  expect([...arranged([], [])]).toEqual([]);
});

test("arrow keys find the nearest box", () => {
  const places = new Map([["a", { x: 0, y: 0 }], ["b", { x: 300, y: 10 }], ["c", { x: 300, y: 200 }], ["d", { x: 0, y: 60 }]]);
  expect([towards("a", places, 1, 0), towards("a", places, 0, 1), towards("c", places, -1, 0), towards("a", places, -1, 0)]).toEqual(["b", "d", "d", undefined]);
});

test("lines run between boxes, thicker with more calls", () => {
  const places = arranged(names, shop);
  const drawn = lines([...shop.map(([src, dst], n) => ({ src, dst, count: 10 ** n })), { src: "web", dst: "gone", count: 1 }], places, 10);
  expect(drawn.length).toBe(shop.length);
  expect(drawn.every((line) => !path(line).includes("NaN"))).toBe(true);
  const widths = drawn.map((line) => line.width);
  expect([...widths].sort((a, b) => a - b)).toEqual(widths);
  expect([width(0), width(1e9)]).toEqual([1.2, 8]);
});

test("what is written on lines does not cover other writing, and failures are always written", () => {
  const { nodes, calls } = many(40, 200);
  const edges = calls.map(([src, dst], at) => ({ src, dst, count: 100, errors: at % 10 ? 0 : 50, p95_us: 1000 }));
  const drawn = lines(edges, arranged(nodes, calls), 60);
  const made = writings(drawn, "p95", 60, 30);
  const fine = drawn.filter((line) => line.state === "fine" && made.has(line.id)).map((line) => made.get(line.id)!);
  expect(drawn.every((line) => line.state === "fine" || made.has(line.id))).toBe(true);
  expect(fine.every((a, at) => fine.slice(at + 1).every((b) => Math.abs(a.y - b.y) > 10 || Math.abs(a.x - b.x) > 20))).toBe(true);
  expect(writings(drawn, "none", 60, 30).size).toBe(drawn.filter((line) => line.state !== "fine").length);
});

test("failures have a sign that needs no colour", () => {
  expect([failing({ count: 100, errors: 0 }), failing({ count: 100, errors: 3 }), failing({ count: 1e6, errors: 3 })]).toEqual(["", "✕ 3 %", "✕ <0.1 %"]);
  expect([state({ count: 1000, errors: 9 }), state({ count: 100, errors: 3 }), state({ count: 100, errors: 5 })]).toEqual(["fine", "touched", "failing"]);
  expect(written({ src: "a", dst: "b", count: 600, errors: 60, p95_us: 4200 }, "p95", 60)).toBe("4.2 ms · ✕ 10 %");
  expect([rate(12_345, 1), rate(30, 60), rate(1, 60), rate(1234, 0)]).toEqual(["12,345/s", "0.5/s", "1/min", "1,234"]);
});

test("long names keep both ends", () => {
  expect(shortened("checkout-6d5f7c9b8-x2x7k", 12)).toBe("checko…x2x7k");
  expect(shortened("cart", 12)).toBe("cart");
});

const HOSTILE = '"]; <script>alert(1)</script>\u202e#quot; `x` & \u0001';

test("exports hold hostile names as text", () => {
  const nodes: MapNode[] = [{ id: HOSTILE, name: HOSTILE, namespace: HOSTILE, count: 5, errors: 5 }, { id: "b", name: "b" }];
  const edges = [{ src: HOSTILE, dst: "b", count: 5, errors: 5, p95_us: 10 }];
  const places = arranged(nodes.map(({ id }) => id), [[HOSTILE, "b"]]);
  const svg = asSvg(nodes, lines(edges, places, 1), places, "p95", 1);
  expect(svg).not.toMatch(/<script|[\u0000-\u0008\u202e]/);
  expect(svg.match(/<\/?[a-z]+/g)?.every((tag) => /^<\/?(svg|title|defs|marker|path|rect|text)$/.test(tag))).toBe(true);
  const mermaid = asMermaid({ nodes, edges }, "none", 1);
  expect(mermaid.split("\n").length).toBe(6);
  expect(mermaid.split("\n")[1]).toMatch(/^ {2}n0\["[^"<>`;]*(#\d+;[^"<>`;]*)*"\]$/);
  expect(mermaid).toContain("linkStyle 0 stroke");
});

test("all of a map is fitted into the window, and what one points at stays under the pointer", () => {
  const window = { width: 1000, height: 500 };
  const box = { x: -100, y: -100, width: 2000, height: 400 };
  const sight = fitted(box, window);
  expect(inSight(sight, box, window)).toBe(true);
  const at = { x: 300, y: 200 };
  const closer = zoomed(sight, 2, at);
  expect((at.x - closer.x) / closer.scale).toBeCloseTo((at.x - sight.x) / sight.scale);
  expect(zoomed(sight, 1e9, at).scale).toBe(3);
  const far = { x: 5000, y: 0, width: 10, height: 10 };
  expect(inSight(revealing(sight, far, window), far, window)).toBe(true);
  expect(revealing(sight, box, window)).toBe(sight);
  expect(fitted(box, { width: 300, height: 500 }).scale).toBe(0.7);
});

import { expect, test } from "vitest";
import { CLOSE, JsonLines, MAX_LINES, OPEN } from "./layout";

function laid(text: string, budget = 1e9) {
  const lines = new JsonLines(text);
  while (!lines.step(budget));
  return lines;
}

/** The text as the page would show it. */
function shown(lines: JsonLines, folded = new Set<number>()) {
  return [...lines.visible(folded)].map((at) => {
    const { depth, key, value, comma } = lines.line(at);
    return `${" ".repeat(depth)}${key && `${key}: `}${value}${comma ? "," : ""}`;
  });
}

test("values stay as they were written, in their order", () => {
  const lines = laid('{"b":12345678901234567890,"a":[1.0,{}, []],"2":"\\u0041\\"","1":null}');
  expect(shown(lines)).toEqual(["{", ' "b": 12345678901234567890,', ' "a": [', "  1.0,", "  {},", "  []", " ],", ' "2": "\\u0041\\"",', ' "1": null', "}"]);
  expect(lines.end).toBe("whole");
  expect([lines.line(0).kind, lines.line(9).kind, lines.mate(0), lines.within(0), lines.within(2)]).toEqual([OPEN, CLOSE, 9, 4, 3]);
  expect(lines.line(1).source).toBe('"b":12345678901234567890');
});

test("slices of any size give the same lines", () => {
  const text = JSON.stringify({ a: [1, "two, }", { b: [[], { c: null }] }], d: { e: "\\" } }, null, 3);
  const wanted = shown(laid(text));
  for (const budget of [1, 2, 7]) expect(shown(laid(text, budget))).toEqual(wanted);
});

test("what is folded hides what it holds", () => {
  const lines = laid('{"a":[1,2],"b":{"c":3}}');
  expect(lines.opening(1)).toEqual([1, 5]);
  expect(shown(lines, new Set([1]))).toEqual(["{", ' "a": [', ' "b": {', '  "c": 3', " }", "}"]);
  expect(shown(lines, new Set([0]))).toEqual(["{"]);
});

test("a text that was cut is shown as far as it goes", () => {
  for (const text of ['{"a":[1,{"b":"un', '{"a":[1,{"b"', '{"a":[1,{"b":tr', '{"a":[1,{"b":']) {
    const lines = laid(text);
    expect([lines.end, shown(lines).slice(0, 3)]).toEqual(["unfinished", ["{", ' "a": [', "  1,"]]);
  }
});

test("several values follow one another", () => {
  expect(shown(laid('{"a":1}\n{"a":2}\n')).filter((line) => line.includes("a"))).toEqual([' "a": 1', ' "a": 2']);
});

test("what is not JSON is told", () => {
  for (const text of ["{a:1}", "[1 2]", '{"a" 1}', "[1,]]", "{]", "[}", "nope", '["a":1]', '{"a":1,,}', "[01x]", "1,2", "<html>"]) expect(laid(text).end, text).toBe("broken");
});

test("depth without end is no recursion", () => {
  const lines = laid('{"a":['.repeat(100_000));
  expect([lines.end, lines.length]).toEqual(["unfinished", 200_000]);
  expect(lines.line(199_999).depth).toBe(199_999);
  expect(laid("[".repeat(MAX_LINES + 5)).end).toBe("long");
});

test("five megabytes are laid out within a moment", () => {
  const text = JSON.stringify(Array.from({ length: 60_000 }, (_, n) => ({ id: n, name: `item "${n}"`, tags: ["a", "b"], price: n / 7 })));
  expect(text.length).toBeGreaterThan(4_000_000);
  const lines = laid(text, 200_000);
  expect([lines.end, lines.within(0)]).toEqual(["whole", 60_000]);
});

test("quotes behind many backslashes cost no more than once", () => {
  const lines = laid(`["${"\\\\".repeat(1_000_000)}\\"${'\\"'.repeat(500_000)}"]`);
  expect([lines.end, lines.length]).toEqual(["whole", 3]);
});

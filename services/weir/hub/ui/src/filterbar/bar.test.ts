import { expect, test } from "vitest";
import { keyed } from "./bar";

const open = { ctrl: false, count: 3, active: -1, changed: true };
const shut = { ...open, count: 0 };

test("Enter takes the filter unless an option was chosen", () => {
  expect(keyed("Enter", shut)).toBe("take");
  expect(keyed("Enter", open)).toBe("take");
  expect(keyed("Enter", { ...open, active: 1 })).toBe("pick");
});

test("Tab takes what is proposed, and goes on where nothing is", () => {
  expect(keyed("Tab", open)).toBe("pick");
  expect(keyed("Tab", shut)).toBeUndefined();
});

test("Escape closes, then takes the old text back, then leaves", () => {
  expect(keyed("Escape", open)).toBe("close");
  expect(keyed("Escape", shut)).toBe("back");
  expect(keyed("Escape", { ...shut, changed: false })).toBeUndefined();
});

test("arrows go round", () => {
  expect(keyed("ArrowDown", open)).toEqual({ active: 0 });
  expect(keyed("ArrowDown", { ...open, active: 2 })).toEqual({ active: 0 });
  expect(keyed("ArrowUp", open)).toEqual({ active: 2 });
  expect(keyed("ArrowDown", shut)).toBe("propose");
  expect(keyed("ArrowUp", shut)).toBeUndefined();
});

test("what is typed with Ctrl is the browser's, but for the wish for proposals", () => {
  expect(keyed(" ", { ...shut, ctrl: true })).toBe("propose");
  expect(keyed("Enter", { ...shut, ctrl: true })).toBeUndefined();
  expect(keyed(" ", shut)).toBeUndefined();
});

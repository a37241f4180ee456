import { expect, test } from "vitest";
import { KEYS, meaning } from "./keys";

const at = (tag: string, widget = false) => ({ tag, widget });

test("keys mean something everywhere but where one writes", () => {
  expect(meaning("f", at("DIV"))).toBe("failed");
  expect(meaning("2", at("BUTTON"))).toBe("view");
  for (const tag of ["INPUT", "TEXTAREA", "SELECT"]) {
    expect(meaning("f", at(tag))).toBeUndefined();
    expect(meaning("ArrowDown", at(tag))).toBeUndefined();
    expect(meaning("Escape", at(tag))).toBe("escape");
  }
  expect(meaning("ArrowDown", at("DIV", true))).toBeUndefined();
  expect(meaning("toString", at("DIV"))).toBeUndefined();
});

test("Space presses the button that has the focus", () => {
  expect(meaning(" ", at("BUTTON"))).toBeUndefined();
  expect(meaning(" ", at("DIV"))).toBe("pause");
});

test("arrows scroll a body that has the focus", () => {
  expect(meaning("ArrowDown", at("PRE"))).toBeUndefined();
  expect(meaning("j", at("PRE"))).toBe("move");
});

test("every single key of the sheet does something", () => {
  const keys = KEYS.flatMap(([, group]) => group.flatMap(([text]) => text.split(" "))).filter((key) => key.length === 1 && !"↑↓".includes(key));
  for (const key of keys) expect([key, meaning(key, at("DIV"))]).not.toEqual([key, undefined]);
});

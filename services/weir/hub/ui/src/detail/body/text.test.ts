import { expect, test } from "vitest";
import { formPairs, hexLines, type Lines, MAX_LINES, textLines, xmlLines } from "./text";

const all = (lines: Lines) => Array.from({ length: lines.length }, (_, at) => lines.line(at)).map(({ depth, text }) => " ".repeat(depth) + text);

test("text by lines, long ones in pieces", () => {
  expect(all(textLines("a\r\n\nb"))).toEqual(["a", "", "b"]);
  expect(all(textLines("x".repeat(2_500))).map((line) => line.length)).toEqual([1000, 1000, 500]);
  const many = textLines("\n".repeat(MAX_LINES + 1));
  expect([many.length, many.long]).toEqual([MAX_LINES, true]);
});

test("tags are indented, and elements of nothing but text stay whole", () => {
  const text = '<?xml version="1.0"?><a><b x="1">one</b><c/><d> <e>2</e></d><!-- <no> --></a>';
  expect(all(xmlLines(text))).toEqual(['<?xml version="1.0"?>', "<a>", ' <b x="1">one</b>', " <c/>", " <d>", "  <e>2</e>", " </d>", " <!-- <no> -->", "</a>"]);
});

test("tags that never end, or end what never began", () => {
  expect(all(xmlLines("</x></y><z"))).toEqual(["</x>", "</y>", "<z"]);
  expect(all(xmlLines("<br>a<img src=x>b"))).toEqual(["<br>", "a", "<img src=x>", "b"]);
  expect(all(xmlLines(" <b>x</b>\n\u0000"))).toEqual(["<b>x</b>", "\u0000"]);
  expect(xmlLines("<a>".repeat(200_000)).length).toBe(200_000);
  expect(xmlLines("<".repeat(200_000)).length).toBe(200);
});

test("bytes in hexadecimal", () => {
  expect(all(hexLines(Uint8Array.from({ length: 18 }, (_, n) => n + 60)))).toEqual([
    "000000  3c 3d 3e 3f 40 41 42 43  44 45 46 47 48 49 4a 4b  <=>?@ABCDEFGHIJK",
    `000010  4c 4d${" ".repeat(45)}LM`,
  ]);
});

test("forms are decoded as far as they can be", () => {
  expect(formPairs("a=1+2&b=%C3%A4&c&d=%zz&=e")).toEqual([["a", "1 2"], ["b", "ä"], ["c", ""], ["d", "%zz"], ["", "e"]]);
});

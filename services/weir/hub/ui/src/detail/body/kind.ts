/** How a body is best shown. Pure. */
import type { Body } from "../../types";

export type Kind = "json" | "form" | "xml" | "text" | "image" | "hex";

/** Magic bytes and the media type that the page gives them, whatever the message claims. */
const IMAGES: [string, string][] = [
  ["image/png", "\x89PNG\r\n\x1a\n"],
  ["image/jpeg", "\xff\xd8\xff"],
  ["image/gif", "GIF8"],
  ["image/bmp", "BM"],
  ["image/x-icon", "\x00\x00\x01\x00"],
];
/** A picture may be far larger than its file. */
const MAX_PIXELS = 25_000_000;

/** The ways in which a body can be shown, the best first. */
export function kinds(body: Body, contentType: string): Kind[] {
  if (body.data) return imageType(body.data) ? ["image", "hex"] : ["hex"];
  if (!body.text) return [];
  const type = contentType.toLowerCase();
  const first = body.text.slice(0, 200).trimStart()[0];
  if (type.includes("x-www-form-urlencoded")) return ["form", "text", "hex"];
  if (first === "{" || first === "[" || /[/+]json\b/.test(type)) return ["json", "text", "hex"];
  if (first === "<" || /[/+]xml\b/.test(type)) return ["xml", "text", "hex"];
  return ["text", "hex"];
}

/** The media type of a picture by its first bytes; empty for everything else. */
export function imageType(base64: string): string {
  let start: string;
  try {
    start = atob(base64.slice(0, 32));
  } catch {
    return "";
  }
  if (start.startsWith("RIFF") && start.slice(8, 12) === "WEBP") return "image/webp";
  return IMAGES.find(([, magic]) => start.startsWith(magic))?.[0] ?? "";
}

/** Whether a picture is too large to be drawn, as far as its head tells (PNG and GIF, where a small file can be huge). */
export function immense(bytes: Uint8Array, type: string): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (type === "image/png" && bytes.length >= 24) return view.getUint32(16) * view.getUint32(20) > MAX_PIXELS;
  if (type === "image/gif" && bytes.length >= 10) return view.getUint16(6, true) * view.getUint16(8, true) > MAX_PIXELS;
  return false;
}

/** Bytes of base64; none where it is broken. */
export function bytesOf(base64: string): Uint8Array {
  try {
    return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

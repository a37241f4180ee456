/** Cookies of a message by name (RFC 6265, 4.1.1 and 4.2.1). Pure. */
import type { Message } from "../types";

export interface Cookie {
  name: string;
  value: string;
  /** `Path=/; HttpOnly`; only where a response sets it. */
  attributes: string;
}

export const sent = ({ headers }: Message) => (headers?.cookie ?? "").split(";").flatMap((part) => cookie(part));

export const set = ({ headers }: Message) => (headers?.["set-cookie"] ?? "").split("\n").flatMap((line) => {
  const end = line.indexOf(";");
  return cookie(end < 0 ? line : line.slice(0, end), end < 0 ? "" : line.slice(end + 1).trim());
});

function cookie(pair: string, attributes = ""): Cookie[] {
  const equals = pair.indexOf("=");
  const name = pair.slice(0, Math.max(equals, 0)).trim();
  return name ? [{ name, value: pair.slice(equals + 1).trim(), attributes }] : [];
}

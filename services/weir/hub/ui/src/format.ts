import type { Body, Entry, Peer } from "./types";

const CLOCK = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

/** Time of day of a capture time in ns since epoch, in the reader's time zone. */
export function clock(ns: number): string {
  const time = new Date(ns / 1e6);
  return Number.isNaN(time.getTime()) ? "no time" : CLOCK.format(time);
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short" });

/** The day where it is another one than today, with a space behind it. */
export function day(ns: number, now = Date.now()): string {
  const time = new Date(ns / 1e6);
  if (Number.isNaN(time.getTime()) || time.toDateString() === new Date(now).toDateString()) return "";
  return `${DAY.format(time)} `;
}

/** ISO 8601 in UTC, as logs have it. */
export function iso(ns: number): string {
  const time = new Date(ns / 1e6);
  return Number.isNaN(time.getTime()) ? "no time" : time.toISOString();
}

/** The time in UTC, and beside it the time of day that the list shows where the two differ. */
export function moment(ns: number): string {
  const away = new Date(ns / 1e6).getTimezoneOffset();
  return away ? `${iso(ns)} (here ${clock(ns)})` : iso(ns);
}

export function duration(us: number | undefined): string {
  if (!us) return "–";
  if (us < 1000) return `${us.toFixed(0)} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(1)} ms`;
  return `${(us / 1e6).toFixed(1)} s`;
}

export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${bytes.toFixed(unit ? 1 : 0)} ${units[unit]}`;
}

/** Bytes of request and response, of a flow both directions. */
export function total(entry: Entry): number {
  const messages = (entry.request?.size ?? 0) + (entry.response?.size ?? 0);
  if (messages) return messages;
  return ["conn_local_bytes", "conn_remote_bytes", "flow_local_bytes", "flow_remote_bytes"].reduce((n, name) => n + Number(entry[name] ?? 0), 0);
}

export function host(peer: Peer): string {
  if (peer.name) return peer.namespace ? `${peer.name}.${peer.namespace}` : peer.name;
  const ip = peer.ip ?? "";
  return ip.includes(":") ? `[${ip}]` : ip;
}

export function where(peer: Peer): string {
  return peer.port ? `${host(peer)}:${peer.port}` : host(peer);
}

/** How an entry went, in one character that reads without colour. */
export function outcome(entry: Entry): { mark: string; name: string } {
  if (entry.ok === false) return { mark: "✕", name: "failed" };
  if (entry.incomplete?.length) return { mark: "◌", name: "incomplete" };
  if (entry.ok === true) return { mark: "✓", name: "ok" };
  return { mark: "·", name: "unknown" };
}

/** A body as text for people: JSON indented, text as it is, other bytes as hexadecimal. */
export function bodyText(body: Body): string {
  if (body.data) return hex(body.data);
  const text = body.text ?? "";
  const first = text.trimStart()[0];
  if ((first === "{" || first === "[") && !body.truncated) {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  }
  return text;
}

function hex(base64: string): string {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const digits = row.map((b) => b.toString(16).padStart(2, "0")).join(" ");
    const ascii = row.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${digits.padEnd(47)}  ${ascii}`);
  }
  return lines.join("\n");
}

const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Text whose control characters are pictures, and whose marks that cannot be seen or turn the writing are spelled out. */
export function inert(text: string): string {
  return text.replace(UNSEEN, (c) => {
    const code = c.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "\u2421" : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** A rate, with about two digits. */
export function perSecond(rate: number): string {
  if (rate >= 10_000) return `${(rate / 1000).toFixed(0)}k/s`;
  return rate >= 10 ? `${rate.toFixed(0)}/s` : `${rate.toFixed(rate < 1 ? 2 : 1)}/s`;
}

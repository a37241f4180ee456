/** A request as a command that sends it again. Pure. */
import type { Entry } from "../types";

/** Written by curl itself, or not for a client to send. */
const OWN = new Set(["host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect", "keep-alive", "upgrade", "http2-settings", "te"]);
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const MASKED = /\bmasked:[0-9a-f]{4,}/;

/** One word of a POSIX shell; what cannot be seen is escaped as bash and zsh read it. */
export function shell(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (!/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/.test(word)) return `'${word.replaceAll("'", `'\\''`)}'`;
  const escaped = [...word].map((c) => {
    if (c === "'" || c === "\\") return `\\${c}`;
    if (c === "\n") return "\\n";
    return /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/.test(c) ? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}` : c;
  });
  return `$'${escaped.join("")}'`;
}

export const sendable = (entry: Entry) => typeof entry.method === "string" && TOKEN.test(entry.method) && entry.protocol === "http" && !!entry.request;

/** What cannot be sent again as it was comes first, as comments. */
export function curl(entry: Entry): string {
  const method = String(entry.method);
  const body = entry.request?.body;
  const headers = Object.entries(entry.request?.headers ?? {}).filter(([name]) => TOKEN.test(name) && !OWN.has(name));
  const url = address(entry);
  const masked = headers.filter(([, value]) => MASKED.test(value)).map(([name]) => name);
  const notes = [];
  if (masked.length) notes.push(`# masked by weir, fill in: ${masked.join(", ")}`);
  if (MASKED.test(url)) notes.push("# masked by weir, fill in: the URL");
  if (body?.truncated) notes.push("# the body was cut: this sends its beginning");
  const words = [["curl"]];
  if (method === "HEAD") words.push(["--head"]);
  else if (method !== (body ? "POST" : "GET")) words.push(["-X", method]);
  if (entry.http_version === "2") words.push([url.startsWith("https:") ? "--http2" : "--http2-prior-knowledge"]);
  if (/[[\]{}]/.test(url)) words.push(["--globoff"]);
  if (/\/\.\.?(\/|$)/.test(url)) words.push(["--path-as-is"]);
  if (entry.request?.headers?.["accept-encoding"]) words.push(["--compressed"]);
  words.push([url]);
  for (const [name, value] of headers) words.push(["-H", value ? `${name}: ${value}` : `${name};`]);
  if (body?.data) words.push(["--data-binary", "@-"]);
  else if (body?.text) words.push(["--data-raw", body.text]);
  const command = words.map((part) => part.map(shell).join(" ")).join(" \\\n  ");
  return [...notes, body?.data ? `printf %s ${shell(body.data)} | base64 -d | ${command}` : command].join("\n");
}

function address(entry: Entry): string {
  const url = typeof entry.url === "string" ? entry.url : "";
  if (/^https?:\/\//i.test(url)) return url;
  const { dst } = entry;
  const ip = dst.ip?.includes(":") ? `[${dst.ip}]` : (dst.ip ?? "");
  const host = typeof entry.host === "string" && entry.host ? entry.host : `${ip}${dst.port ? `:${dst.port}` : ""}`;
  const path = url || (typeof entry.path === "string" ? entry.path : "");
  return `${entry.tls ? "https" : "http"}://${host}${path.startsWith("/") ? "" : "/"}${path}`;
}

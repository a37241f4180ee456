/** Text, XML and bytes as lines that are cut out of them when they are looked at. Pure. */

export const MAX_LINES = 1_000_000;
/** A longer line goes on in the next one: no browser likes a line of megabytes. */
const WIDTH = 1_000;

export interface Lines {
  length: number;
  /** Depth of its indentation, and what stands there. */
  line(index: number): { depth: number; text: string };
  /** There is more than is laid out. */
  long: boolean;
}

class Cuts implements Lines {
  length = 0;
  long = false;
  private starts = new Int32Array(256);
  private ends = new Int32Array(256);
  private depths = new Int32Array(256);

  constructor(private readonly source: string) {}

  add(from: number, to: number, depth = 0): void {
    for (let at = from; at === from || at < to; at += WIDTH) {
      if (this.length >= MAX_LINES) {
        this.long = true;
        return;
      }
      if (this.length === this.starts.length) [this.starts, this.ends, this.depths] = [doubled(this.starts), doubled(this.ends), doubled(this.depths)];
      this.starts[this.length] = at;
      this.ends[this.length] = Math.min(at + WIDTH, to);
      this.depths[this.length++] = depth;
    }
  }

  line(index: number): { depth: number; text: string } {
    return { depth: this.depths[index]!, text: this.source.slice(this.starts[index], this.ends[index]) };
  }
}

function doubled(old: Int32Array): Int32Array<ArrayBuffer> {
  const made = new Int32Array(old.length * 2);
  made.set(old);
  return made;
}

export function textLines(text: string): Lines {
  const lines = new Cuts(text);
  for (let from = 0; from <= text.length && !lines.long; ) {
    const end = text.indexOf("\n", from);
    const to = end < 0 ? text.length : end;
    lines.add(from, to > from && text.charCodeAt(to - 1) === 13 ? to - 1 : to);
    from = to + 1;
    if (end < 0) break;
  }
  return lines;
}

const VOID = /^<(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)[\s/>]/i;

/** XML and HTML: a tag or a run of text on each line, indented by how deep it stands. Nothing is judged. */
export function xmlLines(text: string): Lines {
  const lines = new Cuts(text);
  let depth = 0;
  for (let at = 0; at < text.length && !lines.long; ) {
    const tag = text.charCodeAt(at) === 60;
    const end = tag ? tagEnd(text, at) : next(text, "<", at, 0);
    const closing = tag && text.charCodeAt(at + 1) === 47;
    if (closing) depth = Math.max(depth - 1, 0);
    // An element with nothing but text in it stays on one line.
    const whole = tag && !closing ? simple(text, at, end) : end;
    const [from, to] = trimmed(text, at, whole);
    if (to > from) lines.add(from, to, depth);
    const opens = tag && !closing && whole === end && !/[!?]/.test(text[at + 1] ?? "") && text.charCodeAt(end - 2) !== 47;
    if (opens && !VOID.test(text.slice(at, at + 12))) depth += 1;
    at = whole;
  }
  return lines;
}

function simple(text: string, at: number, end: number): number {
  const name = /^<([^\s/>!?]+)/.exec(text.slice(at, at + 200))?.[1];
  const close = name && text.charCodeAt(end - 2) !== 47 ? text.indexOf("<", end) : -1;
  if (close < 0 || close - end > 200 || !text.startsWith(`</${name}>`, close)) return end;
  return close + name!.length + 3;
}

function tagEnd(text: string, at: number): number {
  if (text.startsWith("<!--", at)) return next(text, "-->", at, 3);
  if (text.startsWith("<![CDATA[", at)) return next(text, "]]>", at, 3);
  return next(text, ">", at, 1);
}

function next(text: string, wanted: string, at: number, past: number): number {
  const found = text.indexOf(wanted, at + 1);
  return found < 0 ? text.length : found + past;
}

/** Without white space at its ends; what cannot be seen otherwise stays. */
function trimmed(text: string, from: number, to: number): [number, number] {
  const white = (at: number) => " \t\r\n".includes(text[at]!);
  while (from < to && white(from)) from += 1;
  while (to > from && white(to - 1)) to -= 1;
  return [from, to];
}

/** Sixteen bytes a line: offset, hexadecimal, ASCII. */
export function hexLines(bytes: Uint8Array): Lines {
  return {
    length: Math.ceil(bytes.length / 16),
    long: false,
    line: (index) => {
      const row = [...bytes.subarray(index * 16, index * 16 + 16)];
      const digits = row.map((b) => b.toString(16).padStart(2, "0"));
      const halves = `${digits.slice(0, 8).join(" ")}  ${digits.slice(8).join(" ")}`;
      const ascii = row.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : ".")).join("");
      return { depth: 0, text: `${(index * 16).toString(16).padStart(6, "0")}  ${halves.padEnd(48)}  ${ascii}` };
    },
  };
}

/** The pairs of a form as they are to be read. */
export function formPairs(text: string): [string, string][] {
  return text.split("&", 1_000).filter(Boolean).map((pair) => {
    const equals = pair.indexOf("=");
    return equals < 0 ? [decoded(pair), ""] : [decoded(pair.slice(0, equals)), decoded(pair.slice(equals + 1))];
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

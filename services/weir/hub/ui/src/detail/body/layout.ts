/**
 * JSON as lines, laid out from the text itself: numbers, escapes and the order of keys stay as they were written, a text
 * that was cut is shown as far as it goes, and neither size nor depth is the stack's problem. Pure.
 *
 * A line is eight numbers in one array, so that a million of them stay small.
 */

export const LEAF = 0;
export const OPEN = 1;
export const CLOSE = 2;
export const MAX_LINES = 1_000_000;

const STRIDE = 8;
const [KIND, DEPTH, KEY_FROM, KEY_TO, FROM, TO, MATE, COMMA] = [0, 1, 2, 3, 4, 5, 6, 7];
const SCALAR = /^(?:-?\d[\d.eE+-]*|true|false|null)$/;
/** Longer than any number that somebody writes. */
const LONGEST_SCALAR = 2_000;

const VALUE = 0;
const VALUE_OR_END = 1;
const KEY = 2;
const KEY_OR_END = 3;
const COLON = 4;
const AFTER = 5;
const ANOTHER = 6;

export interface Line {
  kind: number;
  depth: number;
  key: string;
  value: string;
  comma: boolean;
  /** What stands there in the text: key and value, as far as the line has both. */
  source: string;
}

export class JsonLines {
  length = 0;
  /** `broken`: this is not JSON; `unfinished`: the text ends before it does; `long`: there is more than is laid out. */
  end: "" | "whole" | "unfinished" | "long" | "broken" = "";
  private columns = new Int32Array(STRIDE * 256);
  private children = new Int32Array(256);
  private readonly open: number[] = [];
  private at = 0;
  private expected = VALUE;
  private keyFrom = -1;
  private keyTo = -1;

  constructor(readonly text: string) {}

  /** Lay out about `budget` more characters; true when all is done. */
  step(budget: number): boolean {
    const stop = Math.min(this.at + budget, this.text.length);
    while (!this.end && this.at < stop) this.token();
    if (!this.end && this.at >= this.text.length) this.end = this.open.length || (this.expected !== ANOTHER && this.expected !== AFTER) ? "unfinished" : "whole";
    return this.end !== "";
  }

  line(index: number): Line {
    const at = index * STRIDE;
    const [keyFrom, from, to] = [this.columns[at + KEY_FROM]!, this.columns[at + FROM]!, this.columns[at + TO]!];
    return {
      kind: this.columns[at + KIND]!,
      depth: this.columns[at + DEPTH]!,
      key: keyFrom < 0 ? "" : this.text.slice(keyFrom, this.columns[at + KEY_TO]!),
      value: this.text.slice(from, to),
      comma: this.columns[at + COMMA]! === 1,
      source: this.text.slice(keyFrom < 0 ? from : keyFrom, to),
    };
  }

  /** The line that closes what this one opens; the last line where nothing does. */
  mate(index: number): number {
    return this.columns[index * STRIDE + MATE]! || this.length - 1;
  }

  /** Keys or items within an opening line. */
  within(index: number): number {
    return this.children[index]!;
  }

  /** Lines that are seen while those of `folded` are closed. */
  visible(folded: ReadonlySet<number>): Int32Array {
    const seen = new Int32Array(this.length);
    let count = 0;
    for (let at = 0; at < this.length; at += 1) {
      seen[count++] = at;
      if (folded.size && folded.has(at)) at = Math.max(this.mate(at), at);
    }
    return seen.subarray(0, count);
  }

  /** Opening lines at this depth. */
  opening(depth: number): number[] {
    const found: number[] = [];
    for (let at = 0; at < this.length; at += 1) {
      if (this.columns[at * STRIDE + KIND] === OPEN && this.columns[at * STRIDE + DEPTH] === depth) found.push(at);
    }
    return found;
  }

  private token(): void {
    const code = this.text.charCodeAt(this.at);
    if (code === 32 || code === 10 || code === 13 || code === 9 || code === 0xfeff) {
      this.at += 1;
    } else if (this.expected === COLON) {
      this.need(code === 58, VALUE);
    } else if (code === 44) {
      this.comma();
    } else if (code === 125 || code === 93) {
      this.close(code);
    } else if (this.expected === AFTER) {
      this.end = "broken";
    } else if (code === 34) {
      this.string();
    } else if (this.expected === KEY || this.expected === KEY_OR_END) {
      this.end = "broken";
    } else if (code === 123 || code === 91) {
      this.begin(code);
    } else {
      this.scalar();
    }
  }

  private need(met: boolean, next: number): void {
    if (met) this.expected = next;
    else this.end = "broken";
    this.at += 1;
  }

  private comma(): void {
    const inside = this.open.at(-1);
    if (this.expected !== AFTER || inside === undefined) {
      this.end = "broken";
      return;
    }
    this.columns[(this.length - 1) * STRIDE + COMMA] = 1;
    this.need(true, this.isObject(inside) ? KEY : VALUE);
  }

  private begin(code: number): void {
    const empty = /^\s*[}\]]/.exec(this.text.slice(this.at + 1, this.at + 32));
    if (empty && empty[0].endsWith(code === 123 ? "}" : "]")) {
      this.add(LEAF, this.at, this.at + 1 + empty[0].length);
      this.at += 1 + empty[0].length;
      this.after();
      return;
    }
    const line = this.add(OPEN, this.at, this.at + 1);
    if (line >= 0) this.open.push(line);
    this.at += 1;
    this.expected = code === 123 ? KEY_OR_END : VALUE_OR_END;
  }

  private close(code: number): void {
    const line = this.open.at(-1);
    const fits = this.expected === AFTER || this.expected === KEY_OR_END || this.expected === VALUE_OR_END;
    if (line === undefined || !fits || this.isObject(line) !== (code === 125)) {
      this.end = "broken";
      return;
    }
    this.open.pop();
    const closing = this.add(CLOSE, this.at, this.at + 1);
    if (closing >= 0) this.columns[line * STRIDE + MATE] = closing;
    this.at += 1;
    this.after();
  }

  private string(): void {
    const from = this.at;
    let to = from;
    do {
      to = this.text.indexOf('"', to + 1);
    } while (to > 0 && this.escaped(to, from));
    const end = to < 0 ? this.text.length : to + 1;
    this.at = end;
    if (this.expected === KEY || this.expected === KEY_OR_END) {
      [this.keyFrom, this.keyTo, this.expected] = [from, end, COLON];
      // A text that was cut within a key: what there is of it is shown.
      if (to < 0) this.add(LEAF, end, end);
    } else {
      this.add(LEAF, from, end);
      if (to >= 0) this.after();
    }
  }

  private escaped(quote: number, from: number): boolean {
    let at = quote - 1;
    while (at > from && this.text.charCodeAt(at) === 92) at -= 1;
    return (quote - 1 - at) % 2 === 1;
  }

  private scalar(): void {
    let to = this.at;
    const limit = Math.min(this.text.length, to + LONGEST_SCALAR);
    while (to < limit && !" \t\r\n,]}:\"".includes(this.text[to]!)) to += 1;
    const cut = to === this.text.length && this.open.length > 0;
    if (!cut && !SCALAR.test(this.text.slice(this.at, to))) {
      this.end = "broken";
      return;
    }
    this.add(LEAF, this.at, to);
    this.at = to;
    this.after();
  }

  /** Behind a value; at the top another may follow (JSON lines). */
  private after(): void {
    this.expected = this.open.length ? AFTER : ANOTHER;
  }

  private isObject(line: number): boolean {
    return this.text.charCodeAt(this.columns[line * STRIDE + FROM]!) === 123;
  }

  private add(kind: number, from: number, to: number): number {
    if (this.length >= MAX_LINES) {
      this.end = "long";
      return -1;
    }
    const index = this.length++;
    if (this.length * STRIDE > this.columns.length) this.grow();
    const parent = this.open.at(-1);
    if (parent !== undefined && kind !== CLOSE) this.children[parent]! += 1;
    this.columns.set([kind, this.open.length, this.keyFrom, this.keyTo, from, to, 0, 0], index * STRIDE);
    this.keyFrom = this.keyTo = -1;
    return index;
  }

  private grow(): void {
    const columns = new Int32Array(this.columns.length * 2);
    columns.set(this.columns);
    const children = new Int32Array(this.children.length * 2);
    children.set(this.children);
    [this.columns, this.children] = [columns, children];
  }
}

import { tokens } from "../filter";
import type { Completion, FilterCheck, Option, Saved } from "../types";

/** What the filter bar makes of text, cursor and the hub's answers. Pure. */

/** A stretch of the text as it is drawn below the caret. */
export interface Piece {
  text: string;
  kind: string;
  wrong: boolean;
}

/** The text in pieces by kind, the wrong one marked; where the end is what is wrong, a blank behind it is. */
export function pieces(text: string, verdict?: FilterCheck): Piece[] {
  const from = verdict && !verdict.ok ? Math.max(0, verdict.position ?? -1) : Infinity;
  const to = from + Math.max(1, verdict?.length ?? 0);
  const located = (verdict?.position ?? -1) >= 0;
  const made: Piece[] = [];
  for (const { kind, text: piece, start } of tokens(text)) {
    const [a, b] = [from - start, to - start].map((at) => Math.min(Math.max(at, 0), piece.length)) as [number, number];
    for (const [part, wrong] of [[piece.slice(0, a), false], [piece.slice(a, b), true], [piece.slice(b), false]] as const)
      if (part) made.push({ text: part, kind: /^(true|false|null|in)$/.test(part) ? "word" : kind, wrong: wrong && located });
  }
  if (located && from >= text.length && from !== Infinity) made.push({ text: "\u00a0", kind: "space", wrong: true });
  return made;
}

/** Whether a fault is only that the text is not written to its end yet. */
export const unfinished = (text: string, verdict: FilterCheck) => (verdict.position ?? 0) + (verdict.length ?? 0) >= text.trimEnd().length;

export interface Written {
  text: string;
  /** Where the caret goes. */
  at: number;
}

/** The text with an option in its place. */
export function accepted(text: string, { start, end }: Completion, option: Option): Written {
  return { text: text.slice(0, start) + option.text + text.slice(end), at: start + option.text.length };
}

const EXAMPLES: [string, string][] = [
  ["failed", "what went wrong"],
  ["http && status_code >= 500", "HTTP calls that the server failed"],
  ["elapsed_time > 250000", "slower than 250 ms"],
  ['dns && dns_rcode == "NXDOMAIN"', "names that do not exist"],
];
const PROPOSED = 6;

/** Whole filters, for who has written nothing yet: those that are kept, those of late, and examples. */
export function whole(saved: Saved[], recent: string[]): Completion {
  const kept = saved.map(({ name, text }) => ({ text, kind: "saved", doc: name }));
  const before = recent.filter((text) => !saved.some((one) => one.text === text)).slice(0, PROPOSED).map((text) => ({ text, kind: "recent" }));
  const examples = EXAMPLES.filter(([text]) => !recent.includes(text)).map(([text, doc]) => ({ text, kind: "example", doc }));
  return { start: 0, end: 0, options: [...kept.slice(0, PROPOSED), ...before, ...examples] };
}

export const isWhole = ({ kind }: Option) => /^(saved|recent|example|find)$/.test(kind);

const REMEMBERED = 30;
const KEY = "weir.filters";

/** Filters that were used in this browser, the last one first. */
export function recent(store: Pick<Storage, "getItem"> | undefined): string[] {
  try {
    const found: unknown = JSON.parse(store?.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((one): one is string => typeof one === "string").slice(0, REMEMBERED) : [];
  } catch {
    return [];
  }
}

export function remember(store: Pick<Storage, "getItem" | "setItem"> | undefined, text: string): void {
  if (!text) return;
  try {
    store?.setItem(KEY, JSON.stringify([text, ...recent(store).filter((one) => one !== text)].slice(0, REMEMBERED)));
  } catch {
    // A browser that keeps nothing has no list of recent filters.
  }
}

import type { Asked } from "./place";
import type { Completion, Entry, Field, FilterCheck, Health, Page, Preview, Rule, RuleWish, Saved, Statistics } from "./types";

export class ApiError extends Error {
  /** `position` and `length`: the wrong piece of a filter, in characters from 0. */
  constructor(
    readonly status: number,
    message: string,
    readonly hint: string,
    readonly position = -1,
    readonly length = 0,
  ) {
    super(message);
  }
}

/** What went wrong and what to do, in words. */
export function told(error: unknown): string {
  if (error instanceof ApiError) return error.hint ? `${error.message}: ${error.hint}` : error.message;
  return "the hub does not answer";
}

/** Whether a question was given up by who asked it. */
export const dropped = (error: unknown) => error instanceof DOMException && error.name === "AbortError";

type Params = Record<string, string>;

async function answer<T>(path: string, asked: Params, options: RequestInit): Promise<T> {
  const query = new URLSearchParams(asked).toString();
  const response = await fetch(`api/v1/${path}${query ? `?${query}` : ""}`, { credentials: "same-origin", ...options });
  if (!response.ok) {
    const said = (await response.json().catch(() => ({}))) as Partial<FilterCheck>;
    throw new ApiError(response.status, said.error || response.statusText, said.hint ?? "", said.position ?? -1, said.length ?? 0);
  }
  const text = await response.text();
  return (text ? JSON.parse(text) : {}) as T;
}

export const get = <T>(path: string, asked: Params = {}, signal?: AbortSignal) => answer<T>(path, asked, signal ? { signal } : {});

export const send = <T>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown) =>
  answer<T>(path, {}, body === undefined ? { method } : { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

export const PAGE_SIZE = 200;

/** What selects entries, as the API names it; what is at its default is left out. */
export function params(asked: Pick<Asked, "filter"> & Partial<Asked>): Params {
  const made: Params = {};
  for (const name of ["filter", "since", "until"] as const) if (asked[name]) made[name] = asked[name];
  if (asked.hidden) made.hidden = "true";
  return made;
}

/** A page of the archive, without headers and bodies; `cursor` is `next` of the page before. */
export const history = (asked: Asked, cursor = "", signal?: AbortSignal) =>
  get<Page>(
    "entries",
    {
      ...params(asked), detail: "summary", limit: String(PAGE_SIZE),
      ...(asked.order === "newest" ? {} : { order: asked.order }), ...(cursor ? { cursor } : {}),
    },
    signal,
  );

/** When what is kept of a time begins, whatever it is, in ns; 0 where nothing is. */
export async function beginOf(since: string, until: string, signal: AbortSignal): Promise<number> {
  const asked = { ...params({ filter: "", since, until, hidden: true }), order: "oldest", limit: "1", detail: "summary" };
  return (await get<Page>("entries", asked, signal)).entries[0]?.timestamp ?? 0;
}

export const one = (id: string) => get<Entry>(`entries/${encodeURIComponent(id)}`);

export const health = () => get<Health>("health");

export const fields = async () => (await get<{ fields: Field[] }>("fields")).fields;

export const stats = async (asked: Params, signal?: AbortSignal) => (await get<{ groups: Statistics[] }>("stats", asked, signal)).groups;

export const complete = (filter: string, at: number, signal: AbortSignal) => get<Completion>("complete", { filter, at: String(at) }, signal);

export const check = (filter: string, signal?: AbortSignal) => get<FilterCheck>("check", { filter }, signal);

export const saved = async () => (await get<{ saved: Saved[] }>("saved")).saved;
export const save = (name: string, text: string, macro: boolean) => send<unknown>("PUT", `saved/${encodeURIComponent(name)}`, { text, macro });
export const forget = (name: string) => send<unknown>("DELETE", `saved/${encodeURIComponent(name)}`);

export const preview = (wish: RuleWish) => send<Preview>("POST", "rules/preview", wish);
export const target = (wish: RuleWish) => send<{ rule: Rule }>("POST", "rules", wish);

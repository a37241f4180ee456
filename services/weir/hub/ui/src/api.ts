import { type Filter, params } from "./filter";
import type { Entry, Health, Page } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

/** What went wrong and what to do, in words. */
export function told(error: unknown): string {
  if (error instanceof ApiError) return error.hint ? `${error.message}: ${error.hint}` : error.message;
  return "the hub does not answer";
}

async function get<T>(path: string, asked: Record<string, string> = {}): Promise<T> {
  const query = new URLSearchParams(asked).toString();
  const response = await fetch(`api/v1/${path}${query ? `?${query}` : ""}`, { credentials: "same-origin" });
  if (!response.ok) {
    const said = (await response.json().catch(() => ({}))) as { error?: string; hint?: string };
    throw new ApiError(response.status, said.error ?? response.statusText, said.hint ?? "");
  }
  return (await response.json()) as T;
}

export const PAGE_SIZE = 200;

/** A page of history, without headers and bodies; `cursor` is `next` of the page before. */
export const history = (filter: Filter, cursor = "") =>
  get<Page>("entries", { ...params(filter), detail: "summary", limit: String(PAGE_SIZE), ...(cursor ? { cursor } : {}) });

export const one = (id: string) => get<Entry>(`entries/${encodeURIComponent(id)}`);

export const health = () => get<Health>("health");

import { ApiError } from "../api";
import type { Group, ServiceMap } from "./types";

/** Who calls whom under a filter and a time range; an empty `since` asks for all that is kept. */
export async function askMap(group: Group, filter: string, since: string, until: string, signal?: AbortSignal): Promise<ServiceMap> {
  const asked = new URLSearchParams({ group });
  if (filter) asked.set("filter", filter);
  if (since) asked.set("since", since);
  if (until) asked.set("until", until);
  const response = await fetch(`api/v1/map?${asked}`, { credentials: "same-origin", ...(signal ? { signal } : {}) });
  if (!response.ok) {
    const said = (await response.json().catch(() => ({}))) as { error?: string; hint?: string };
    throw new ApiError(response.status, said.error ?? response.statusText, said.hint ?? "");
  }
  return (await response.json()) as ServiceMap;
}

/** Where a reader is: what the URL says, so that whoever opens it sees the same. */

export const VIEWS = ["list", "map", "state"] as const;
export type View = (typeof VIEWS)[number];
export const ORDERS = ["newest", "oldest", "slowest", "failed"] as const;
export type Order = (typeof ORDERS)[number];

/** What selects entries and puts them in order. */
export interface Asked {
  /** In the filter language. */
  filter: string;
  /** ns since 1970, an ISO 8601 time, or an age such as `15m`; empty for no bound. */
  since: string;
  until: string;
  order: Order;
  /** Probes and views of services, too. */
  hidden: boolean;
}

export interface Place extends Asked {
  view: View;
  /** The entry that is open. */
  id: string;
}

export const HOME: Place = { view: "list", filter: "", since: "", until: "", order: "newest", hidden: false, id: "" };
const LONGEST = { filter: 4096, since: 40, until: 40, id: 512 };

/** The place that a query string names; what it does not know or cannot read is as at home. */
export function read(search: string): Place {
  const given = new URLSearchParams(search);
  const text = (name: keyof typeof LONGEST) => (given.get(name) ?? "").slice(0, LONGEST[name]);
  const among = <T extends string>(name: string, known: readonly T[]) => known.find((one) => one === given.get(name)) ?? known[0]!;
  return {
    view: among("view", VIEWS), filter: text("filter").trim(), since: text("since"), until: text("until"),
    order: among("order", ORDERS), hidden: given.get("hidden") === "true", id: text("id"),
  };
}

/** The query string of a place, with its question mark; empty at home. */
export function written(place: Place): string {
  const said = new URLSearchParams();
  for (const name of Object.keys(HOME) as (keyof Place)[]) if (place[name] !== HOME[name]) said.set(name, String(place[name]));
  const text = said.toString();
  return text ? `?${text}` : "";
}

/** Whether what comes live belongs to the list: it is not when an end was set, or another order. */
export const isLive = (asked: Asked) => !asked.until && asked.order === "newest";

export const same = (a: Asked, b: Asked) =>
  a.filter === b.filter && a.since === b.since && a.until === b.until && a.order === b.order && a.hidden === b.hidden;

/**
 * Whether a step deserves an entry of its own in the browser's history. Walking from one open entry to the next does not:
 * Back closes the entry instead of visiting each again.
 */
export const worthKeeping = (from: Place, to: Place) => from.view !== to.view || !same(from, to) || (!from.id && !!to.id);

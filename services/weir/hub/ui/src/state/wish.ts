/** A rule as it is typed, and as it is sent. Pure. */
import type { RuleWish } from "../types";

/** Every field as text, as it stands in the form. */
export interface Draft {
  target: string;
  namespaces: string;
  exclude_namespaces: string;
  pod: string;
  workload: string;
  service: string;
  labels: string;
  node: string;
  port: string;
  exclude: boolean;
  for_s: number;
  name: string;
}

export const EMPTY: Draft = {
  target: "", namespaces: "", exclude_namespaces: "", pod: "", workload: "", service: "", labels: "", node: "", port: "", exclude: false, for_s: 0, name: "",
};
const TEXTS = ["pod", "workload", "service", "labels", "node"] as const;
const LISTS = ["namespaces", "exclude_namespaces"] as const;

/** What is sent; undefined while nothing is selected. What is typed wrongly is the hub's to refuse. */
export function wishOf(draft: Draft): RuleWish | undefined {
  const wish: RuleWish = {};
  for (const name of LISTS) {
    const names = draft[name].split(/[\s,]+/).filter(Boolean);
    if (names.length) wish[name] = names;
  }
  for (const name of TEXTS) if (draft[name].trim()) wish[name] = draft[name].trim();
  if (draft.target.trim()) wish.target = draft.target.trim();
  if (/^\d+$/.test(draft.port.trim())) wish.port = Number(draft.port);
  if (!Object.keys(wish).length) return undefined;
  if (draft.exclude) wish.exclude = true;
  if (draft.for_s) wish.for_s = draft.for_s;
  return { ...wish, name: draft.name.trim() || nameOf(wish), author: "page" };
}

/** A name that tells what the rule selects: letters, digits and `-._/:@+`. */
export function nameOf(wish: RuleWish): string {
  const said = [wish.exclude && "not", wish.target, wish.workload ?? wish.service ?? wish.pod ?? wish.labels, wish.namespaces?.join("+"), wish.node, wish.port && `:${wish.port}`];
  const name = said.filter(Boolean).join("-").replace(/[^A-Za-z0-9._/:@+-]+/g, "-").slice(0, 100);
  return name.replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, "") || "rule";
}

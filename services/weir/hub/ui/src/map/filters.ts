/** What selects a node's calls in the filter language. Pure. */
import { quote } from "../detail/clause";
import type { Group, MapNode } from "./types";

/** Calls with this node at either end. */
export function nodeFilter(group: Group, node: MapNode): string {
  if (node.filter) return node.filter;
  const { name, namespace } = node;
  const text = quote(name || node.id);
  if (group === "namespace") return `${text} in namespaces`;
  if (group === "node") return `src.node == ${text} || dst.node == ${text}`;
  if (group === "workload") return both(`workload == ${text}`, namespace);
  return both(group === "service" ? `service.name == ${text}` : `name == ${text}`, namespace);
}

function both(condition: string, namespace: string | undefined): string {
  const end = (name: string) => `${name}.${condition}${namespace ? ` && ${name}.namespace == ${quote(namespace)}` : ""}`;
  return `${end("src")} || ${end("dst")}`;
}

/** What selects a node's calls in the filter language. Pure. */
import { quote } from "../detail/clause";
import type { Group, MapNode } from "./types";

/** What names an end in each group, the first that is there; as the hub's `graph` has it. */
const NAMES: Record<Group, readonly string[]> = {
  pod: ["name", "ip"],
  workload: ["workload", "name", "ip"],
  service: ["service.name", "workload", "name", "ip"],
  namespace: ["namespace"],
  node: ["node"],
};
const ADDRESS = /^(?:[\d.]+|[\da-f:]*:[\da-f:.]*)$/i;

/** Calls with this node at either end. */
export function nodeFilter(group: Group, node: MapNode): string {
  return ["src", "dst"].map((end) => conditions(group, node, end).join(" && ")).join(" || ");
}

function conditions(group: Group, { name, namespace = "", role = "" }: MapNode, end: string): string[] {
  const fields = NAMES[group];
  if (fields.length === 1) return [`${end}.${fields[0]} == ${quote(name)}`, ...(name ? [] : [`${end}.role == ${quote(role)}`])];
  const at = fields.indexOf(fieldOf(fields, name, role));
  return [...fields.slice(0, at).map((field) => `${end}.${field} == ""`), `${end}.${fields[at]} == ${quote(name)}`, `${end}.namespace == ${quote(namespace)}`];
}

/** Which field a name came from: it tells itself. */
function fieldOf(fields: readonly string[], name: string, role: string): string {
  if (role === "service" && fields[0] === "service.name") return "service.name";
  if (!name || ADDRESS.test(name)) return "ip";
  return name.includes("/") && fields.includes("workload") ? "workload" : "name";
}

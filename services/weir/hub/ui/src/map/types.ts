/** The hub's answer to `GET map`; see /api/v1/openapi.json. Times in ns, durations in µs, all weighted. */

export const GROUPS = ["service", "workload", "pod", "namespace", "node"] as const;
export type Group = (typeof GROUPS)[number];

export interface MapNode {
  id: string;
  name: string;
  namespace?: string;
  role?: string;
  /** Calls that it answered, flows where only those are known. */
  count?: number;
  errors?: number;
  p95_us?: number;
  /** Selects its calls, in the filter language. */
  filter?: string;
}

export interface MapEdge {
  src: string;
  dst: string;
  protocols?: string[];
  count: number;
  errors?: number;
  p50_us?: number;
  p95_us?: number;
  p99_us?: number;
  bytes?: number;
  flow_bytes?: number;
  filter?: string;
}

export interface ServiceMap {
  group?: string;
  /** 0: everything that is kept. */
  since_ns?: number;
  until_ns?: number;
  nodes: MapNode[];
  edges: MapEdge[];
  left_out?: { nodes?: number; edges?: number };
}

/** Where a box is, or a piece of text. */
export interface Place {
  x: number;
  y: number;
}
export type Places = ReadonlyMap<string, Place>;
/** Who calls whom. */
export type Call = readonly [string, string];

/** The parts of the hub's API that the page reads; see /api/v1/openapi.json. */

export interface Peer {
  ip?: string;
  port?: number;
  name?: string;
  namespace?: string;
  workload?: string;
  node?: string;
}

export interface Body {
  size?: number;
  text?: string;
  /** base64 */
  data?: string;
  truncated?: boolean;
  encoding?: string;
}

export interface Message {
  timestamp?: number;
  end?: number;
  size?: number;
  headers?: Record<string, string>;
  trailers?: Record<string, string>;
  body?: Body;
}

export interface Entry {
  id: string;
  version?: number;
  timestamp: number;
  elapsed_time?: number;
  protocol: string;
  kind: string;
  flow_id: string;
  src: Peer;
  dst: Peer;
  request?: Message;
  response?: Message;
  ok?: boolean;
  summary?: string;
  weird?: string[];
  incomplete?: string[];
  [field: string]: unknown;
}

export interface Page {
  /** Newest first. */
  entries: Entry[];
  next: string | null;
  /** Left out for a tag (`probe`, `service-view`). */
  hidden?: number;
}

export interface TailMessage {
  type: string;
  entries?: Entry[];
  matched?: number;
  shown?: number;
  missed?: number;
  hidden?: number;
  error?: string;
  hint?: string;
}

export interface Loss {
  process?: string;
  /** `stage.reason` */
  what: string;
  /** Since the process started. */
  count: number;
  /** Over the last heartbeat; 0 means that it is over. */
  per_s?: number;
  says: string;
}

/** When something was lost. */
export interface LostMark {
  from_ns: number;
  to_ns: number;
  what: string;
  count: number;
}

export interface Process {
  process: string;
  stages: string[];
  state: "up" | "gone";
  age_s: number;
  uptime_s: number;
  mode: Record<string, string>;
  counters: Record<string, number>;
  rates: Record<string, number>;
  lag: Record<string, number>;
  lost: Record<string, number>;
  cpu_s: number;
  rss_bytes: number;
  notes: string[];
  node?: string;
}

export interface NodeRate {
  node: string;
  mb_per_s?: number;
  gb_per_day?: number;
  [more: string]: unknown;
}

export interface Health {
  verdict?: "ok" | "degraded" | "down";
  /** One sentence for each thing that a person should know. */
  says?: string[];
  target?: {
    /** Nothing is targeted: only connections, no payload. */
    outline: boolean;
    capture?: boolean;
    targets?: string[];
    targeted?: { pods?: number; targeted?: number; nodes?: string[]; rules?: string[] };
    now?: string;
    bodies?: boolean;
    sample_rate?: number;
    says?: string;
  };
  losses?: Loss[];
  lost?: LostMark[];
  leaks?: { says: string; [more: string]: unknown }[];
  nodes?: NodeRate[];
  archive?: string;
  followers?: number;
  processes?: Process[];
  now_ns?: number;
}

/** A variable of the filter language. */
export interface Field {
  name: string;
  type: string;
  doc: string;
  /** Heading, if lists show it. */
  column?: string;
  protocols: string[];
}

/** One group of statistics, weighted by the share that was sampled; see `weir.archive.api.Statistics`. */
export interface Statistics {
  key: (string | number)[];
  since_ns: number;
  count: number;
  entries: number;
  errors: number;
  p50_us: number;
  p95_us: number;
  p99_us: number;
  bytes: number;
  flow_bytes: number;
}

export interface Option {
  text: string;
  kind: string;
  doc?: string;
  count?: number;
}

/** What may stand at the cursor: an option's text replaces start..end. */
export interface Completion {
  start: number;
  end: number;
  options: Option[];
}

export interface FilterCheck {
  ok: boolean;
  error?: string;
  hint?: string;
  position?: number;
  length?: number;
}

export interface Saved {
  name: string;
  text: string;
  macro: boolean;
  author?: string;
  updated_ns?: number;
}

export interface RuleWish {
  name?: string;
  target?: string;
  namespaces?: string[];
  exclude_namespaces?: string[];
  pod?: string;
  labels?: string;
  workload?: string;
  node?: string;
  service?: string;
  port?: number;
  exclude?: boolean;
  author?: string;
  for_s?: number;
}

export interface Rule {
  name: string;
  read_only?: boolean;
  author?: string;
  source?: string;
  [more: string]: unknown;
}

/** What a rule would select, and what it would put on the bus. */
export interface Preview {
  rule: Rule;
  pods: number;
  fresh: number;
  workloads: Record<string, number>;
  nodes: NodeRate[];
  mb_per_s: number;
  gb_per_day: number;
  over_s: number;
  warnings: string[];
}

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
}

export interface TailMessage {
  type: string;
  entries?: Entry[];
  matched?: number;
  shown?: number;
  missed?: number;
  error?: string;
  hint?: string;
}

export interface Loss {
  what: string;
  count: number;
  per_s?: number;
  says: string;
}

export interface Health {
  verdict?: string;
  /** One sentence for each thing that a person should know. */
  says?: string[];
  target?: { outline: boolean; says?: string };
  losses?: Loss[];
}

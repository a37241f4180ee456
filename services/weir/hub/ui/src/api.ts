import type { Entry, Filter, Health, TailMessage } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

async function get<T>(path: string, params: Record<string, string> = {}): Promise<T> {
  const query = new URLSearchParams(params).toString();
  const response = await fetch(`api/v1/${path}${query ? `?${query}` : ""}`, { credentials: "same-origin" });
  if (!response.ok) {
    const told = (await response.json().catch(() => ({}))) as { error?: string; hint?: string };
    throw new ApiError(response.status, told.error ?? response.statusText, told.hint ?? "");
  }
  return (await response.json()) as T;
}

export function params(filter: Filter): Record<string, string> {
  const asked: Record<string, string> = {};
  if (filter.protocol.length) asked.protocol = filter.protocol.join(",");
  if (filter.text) asked.text = filter.text;
  return asked;
}

export const recent = (filter: Filter, limit: number) =>
  get<{ entries: Entry[]; next: string | null }>("entries", { ...params(filter), limit: String(limit) });

export const one = (id: string) => get<Entry>(`entries/${encodeURIComponent(id)}`);

export const health = () => get<Health>("health");

export type Connection = "connecting" | "live" | "lost";

/** Follows live entries; connects again by itself, ever more slowly up to every 10 s. */
export class Tail {
  private socket: WebSocket | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private wait = 500;
  private closed = false;

  constructor(
    private filter: Filter,
    private readonly onMessage: (message: TailMessage) => void,
    private readonly onState: (state: Connection) => void,
  ) {
    this.connect();
  }

  follow(filter: Filter): void {
    this.filter = filter;
    this.send({ filter: params(filter) });
  }

  pause(paused: boolean): void {
    this.send({ pause: paused });
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.retry);
    this.socket?.close();
  }

  private send(message: unknown): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private connect(): void {
    this.onState("connecting");
    const url = new URL(`api/v1/tail?${new URLSearchParams({ ...params(this.filter), format: "json", detail: "summary" })}`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => {
      this.wait = 500;
      this.onState("live");
    };
    socket.onmessage = (event) => this.onMessage(JSON.parse(String(event.data)) as TailMessage);
    socket.onclose = () => {
      if (this.closed) return;
      this.onState("lost");
      this.retry = setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(this.wait * 2, 10_000);
    };
  }
}

import { type Filter, params } from "./filter";
import type { TailMessage } from "./types";

export type Connection = "connecting" | "live" | "lost";

export interface TailEvents {
  onMessage(message: TailMessage): void;
  onState(state: Connection): void;
}

const SLOWEST_MS = 10_000;

/** Follows live entries; connects again by itself, ever more slowly. */
export class Tail {
  private socket: WebSocket | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private wait = 500;
  private closed = false;
  private paused = false;
  /** Wishes that the hub has not answered: until then it sends what was asked for before. */
  private asked = 0;

  constructor(
    private filter: Filter,
    private readonly events: TailEvents,
  ) {
    this.connect();
  }

  follow(filter: Filter): void {
    this.filter = filter;
    this.wish({ filter: params(filter) });
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.wish({ pause: paused });
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.retry);
    this.socket?.close();
  }

  private wish(message: unknown): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.asked += 1;
    this.socket.send(JSON.stringify(message));
  }

  private connect(): void {
    this.events.onState("connecting");
    const sent = this.filter;
    const url = new URL(`api/v1/tail?${new URLSearchParams({ ...params(sent), detail: "summary" })}`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => {
      this.wait = 500;
      this.asked = 1; // the hub tells its state first
      if (sent !== this.filter) this.follow(this.filter);
      if (this.paused) this.pause(true);
      this.events.onState("live");
    };
    socket.onmessage = (event) => this.take(JSON.parse(String(event.data)) as TailMessage);
    socket.onclose = () => {
      if (this.closed) return;
      this.events.onState("lost");
      this.retry = setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(this.wait * 2, SLOWEST_MS);
    };
  }

  private take(message: TailMessage): void {
    if (message.type !== "entries") {
      this.asked = Math.max(0, this.asked - 1);
      if (message.error) this.events.onMessage(message);
    } else if (!this.asked && !this.paused) {
      this.events.onMessage(message);
    }
  }
}

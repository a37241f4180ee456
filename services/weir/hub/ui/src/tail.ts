import { params } from "./api";
import type { Asked } from "./place";
import type { TailMessage } from "./types";

export type Connection = "connecting" | "live" | "lost";

export interface TailEvents {
  onMessage(message: TailMessage): void;
  onState(state: Connection): void;
}

const SLOWEST_MS = 10_000;

/** What comes live is never bounded in time. */
const conditions = ({ filter, hidden }: Asked) => params({ filter, hidden });

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
    private wanted: Asked,
    private readonly events: TailEvents,
  ) {
    this.connect();
  }

  follow(wanted: Asked): void {
    this.wanted = wanted;
    this.wish({ filter: conditions(wanted) });
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
    // The filter is told afterwards: one that the hub refuses is then answered in words instead of with a closed door.
    const url = new URL("api/v1/tail?detail=summary", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => {
      this.wait = 500;
      this.asked = 1; // the hub tells its state first
      if (Object.keys(conditions(this.wanted)).length) this.follow(this.wanted);
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

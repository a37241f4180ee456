/** The parts of an exchange in time. Pure. Times in ns are a little too long for a number: µs are what can be told. */
import type { Entry } from "../types";

export interface Part {
  name: "request" | "waiting" | "response";
  says: string;
  /** µs from the beginning, and its length. */
  from: number;
  us: number;
}

/** Request, waiting, response; nothing where only one side was seen. */
export function parts({ request, response }: Entry): Part[] {
  const begin = request?.timestamp;
  if (!begin || !response?.timestamp) return [];
  const asked = Math.max(request.end ?? begin, begin);
  const answered = Math.max(response.timestamp, begin);
  const end = Math.max(response.end ?? answered, answered);
  // A server may answer before the request has ended.
  const waited = Math.max(answered - asked, 0);
  const us = (ns: number) => Math.round(ns / 1000);
  return [
    { name: "request", says: "request sent", from: 0, us: us(asked - begin) },
    { name: "waiting", says: "waiting for the server", from: us(asked - begin), us: us(waited) },
    { name: "response", says: "response received", from: us(answered - begin), us: us(end - answered) },
  ];
}

export const whole = (found: Part[]) => Math.max(...found.map(({ from, us }) => from + us), 0);

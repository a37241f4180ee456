/** The parts of an exchange in time. Pure. */
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
  const made: Part[] = [
    { name: "request", says: "request sent", from: 0, us: (asked - begin) / 1000 },
    { name: "waiting", says: "waiting for the server", from: (asked - begin) / 1000, us: waited / 1000 },
    { name: "response", says: "response received", from: (answered - begin) / 1000, us: (end - answered) / 1000 },
  ];
  return made;
}

export const whole = (found: Part[]) => Math.max(...found.map(({ from, us }) => from + us), 0);

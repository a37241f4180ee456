/** What is to be known about how complete and how true an entry is, in words. Pure. */
import { inert, size } from "../format";
import type { Body, Entry } from "../types";

export interface Mark {
  what: string;
  says: string;
}

const TAGS: Record<string, string> = {
  probe: "A probe of the kubelet. Lists leave it out unless they are asked for it.",
  "service-view": "Seen in front of the service's address, and once more behind it, with the pod that answered. Lists leave this copy out.",
};

export function marks(entry: Entry): Mark[] {
  const found: Mark[] = [];
  const add = (what: string, says: string) => found.push({ what, says });
  for (const text of strings(entry.incomplete)) add("Incomplete", text);
  for (const text of strings(entry.weird)) add("Weird", text);
  for (const side of ["request", "response"] as const) {
    const body = entry[side]?.body;
    if (body?.truncated) add("Cut", `${kept(body)} of the ${side}'s body ${body.size ? `(${size(body.size)}) ` : ""}are kept.`);
    if (body?.encoding?.startsWith("?")) add("Coded", `The ${side}'s body could not be read as ${inert(body.encoding.slice(1))}: it is shown as it came.`);
  }
  const lost = Number(entry.lost_bytes ?? 0);
  if (lost > 0) add("Lost", `${size(lost)} of this conversation were on the wire and were not captured.`);
  if (typeof entry.undecoded === "string" && entry.undecoded) add("Not read", entry.undecoded);
  const rate = Number(entry.sample_rate ?? 1);
  if (rate > 0 && rate < 1) add("Sampled", `${share(rate)} kept here: this entry stands for about ${Math.round(1 / rate).toLocaleString()}.`);
  for (const tag of strings(entry.tags)) add("Tagged", TAGS[tag] ?? tag);
  if (entry.tls === true) add("TLS", "Read in clear on the node, within the program that encrypts.");
  if (entry.has_pcap === true) add("Raw packets", "They are kept for this conversation. This version of weir cannot hand them out as a file yet.");
  return found;
}

function kept(body: Body): string {
  const bytes = body.data ? Math.floor((body.data.length * 3) / 4) : new TextEncoder().encode(body.text ?? "").length;
  return `The first ${size(bytes)}`;
}

function share(rate: number): string {
  const every = 1 / rate;
  return Math.abs(every - Math.round(every)) < 0.01 ? `1 of ${Math.round(every).toLocaleString()} conversations is` : `${(rate * 100).toPrecision(2)} % of conversations are`;
}

const strings = (value: unknown) => (Array.isArray(value) ? value.map(String) : []);

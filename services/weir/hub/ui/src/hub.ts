import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, fields as askFields, health as askHealth, stats, told } from "./api";
import type { Feed } from "./feed";
import { PROTOCOLS } from "./filter";
import { LossLog } from "./timeline/losses";
import type { Field, Health } from "./types";

const HEALTH_MS = 3000;
const PROTOCOLS_MS = 15_000;
const AGAIN_MS = 5000;

/** The installation's health, asked for now and then; `refused` says why the hub does not let this page in. */
export function useHealth() {
  const [health, setHealth] = useState<Health>({});
  const [refused, setRefused] = useState("");
  const losses = useMemo(() => new LossLog(), []);
  useEffect(() => {
    const ask = async () => {
      try {
        const found = await askHealth();
        losses.take(found.lost ?? []);
        setHealth(found);
        setRefused("");
      } catch (error) {
        if (error instanceof ApiError) setRefused(told(error));
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), HEALTH_MS);
    return () => clearInterval(timer);
  }, []);
  return { health, refused, losses };
}

/** What this page was too slow for belongs to the losses, too. */
export function useMissed({ counts }: Feed, losses: LossLog): void {
  const before = useRef(counts.missed);
  if (counts.missed > before.current) losses.add({ from: Date.now() - 1000, to: Date.now(), what: "this page was too slow", count: counts.missed - before.current });
  before.current = counts.missed;
}

/** What the dissectors declare; nothing until the hub has answered. */
export function useFields(): Field[] {
  const [fields, setFields] = useState<Field[]>([]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let current = true;
    const ask = () =>
      askFields().then(
        (found) => current && setFields(found),
        () => current && (timer = setTimeout(() => void ask(), AGAIN_MS)),
      );
    void ask();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, []);
  return fields;
}

export interface Protocols {
  /** Those that are worth a button: what was seen of late, else what weir knows best. */
  shown: string[];
  /** Those whose name alone is a condition. */
  flags: string[];
}

export function useProtocols(fields: Field[]): Protocols {
  const [seen, setSeen] = useState<string[]>([]);
  useEffect(() => {
    const ask = () =>
      stats({ group_by: "protocol", since: "1h", limit: "20" }).then(
        (groups) => setSeen((before) => sameNames(before, groups.map((group) => String(group.key[0])))),
        () => undefined,
      );
    void ask();
    const timer = setInterval(() => void ask(), PROTOCOLS_MS);
    return () => clearInterval(timer);
  }, []);
  return useMemo(() => {
    const flags = [...new Set([...PROTOCOLS, ...fields.flatMap((field) => field.protocols)])].filter((name) => /^[a-z][a-z0-9_]*$/.test(name));
    const rest = seen.filter((name) => name && !PROTOCOLS.includes(name)).sort();
    return { flags, shown: [...PROTOCOLS, ...rest] };
  }, [seen, fields]);
}

/** The list from before where it says the same: nothing is drawn anew for it. */
const sameNames = (before: string[], now: string[]) => (before.length === now.length && now.every((name) => before.includes(name)) ? before : now);

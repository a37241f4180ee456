import { useEffect, useRef, useState } from "preact/hooks";
import { check, complete, dropped, saved as askSaved } from "../api";
import type { Completion, FilterCheck, Saved } from "../types";

const CHECK_MS = 200;
const COMPLETE_MS = 90;

/** What the hub says of a text, a moment after it was typed; nothing while that is not known. */
export function useCheck(text: string): FilterCheck | undefined {
  const [said, setSaid] = useState<{ text: string; verdict: FilterCheck }>();
  useEffect(() => {
    if (!text.trim()) return;
    const asking = new AbortController();
    const timer = setTimeout(() => {
      check(text, asking.signal).then(
        (verdict) => setSaid({ text, verdict }),
        () => undefined,
      );
    }, CHECK_MS);
    return () => {
      clearTimeout(timer);
      asking.abort();
    };
  }, [text]);
  return said?.text === text && text.trim() ? said.verdict : undefined;
}

/** What may stand at the caret. `ask` starts a question and gives up the one before. */
export function useComplete() {
  const [completion, setCompletion] = useState<Completion>();
  const asking = useRef<{ stop: () => void }>(undefined);
  const stop = () => asking.current?.stop();
  useEffect(() => stop, []);
  const ask = (text: string, at: number, wait = COMPLETE_MS) => {
    stop();
    const control = new AbortController();
    const timer = setTimeout(() => {
      complete(text, at, control.signal).then(
        (found) => setCompletion(found.options.length ? found : undefined),
        (error: unknown) => dropped(error) || setCompletion(undefined),
      );
    }, wait);
    asking.current = {
      stop: () => {
        clearTimeout(timer);
        control.abort();
      },
    };
  };
  const close = () => {
    stop();
    setCompletion(undefined);
  };
  return { completion, ask, close, show: setCompletion };
}

/** Filters that are kept in weir, for everybody; `trouble` where the hub cannot keep any. */
export function useSaved() {
  const [kept, setKept] = useState<Saved[]>([]);
  const load = () =>
    askSaved().then(
      (found) => {
        setKept(found);
        return found;
      },
      () => kept,
    );
  useEffect(() => void load(), []);
  return { kept, load };
}

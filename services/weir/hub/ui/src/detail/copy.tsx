import { useEffect, useState } from "preact/hooks";

const SHOWN_MS = 1500;

/** Copies `text`; beyond localhost a page without TLS has no clipboard, where the old way still works. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "aside";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

function useCopy(): [string, (text: string) => Promise<void>] {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);
  return [said, async (text) => setSaid((await copy(text)) ? "copied" : "cannot copy")];
}

/** Copies a value; beside values it appears when they are looked at, `shown` it is always there. */
export function Copy({ text, what, shown }: { text: string; what: string; shown?: boolean }) {
  const [said, take] = useCopy();
  return (
    <button class={shown ? "small" : "small beside"} aria-label={`Copy ${what}`} onClick={() => void take(text)}>
      <span aria-live="polite">{said || "copy"}</span>
    </button>
  );
}

/** Copies what is made when it is asked for. */
export function CopyAs({ make, children }: { make: () => string; children: string }) {
  const [said, take] = useCopy();
  return (
    <button aria-label={`Copy as ${children}`} onClick={() => void take(make())}>
      <span aria-live="polite">{said || children}</span>
    </button>
  );
}

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

export function Copy({ text, what }: { text: string; what: string }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);
  return (
    <button class="copy" aria-label={`Copy ${what}`} onClick={async () => setSaid((await copy(text)) ? "copied" : "cannot copy")}>
      <span aria-live="polite">{said || "copy"}</span>
    </button>
  );
}

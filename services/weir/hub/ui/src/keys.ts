import { useEffect } from "preact/hooks";

export const KEYS: [string, string][] = [
  ["/", "find text"],
  ["Space", "pause, go on"],
  ["↑ ↓", "newer, older entry"],
  ["Escape", "close the entry, leave the field"],
  ["?", "this sheet"],
];

export interface Actions {
  find(): void;
  pause(): void;
  /** To the next newer (-1) or older (1) entry. */
  move(step: number): void;
  escape(): void;
  help(): void;
}

/** What a key means; undefined where it belongs to the element that has the focus. */
export function meaning(key: string, typing: boolean, pressing: boolean): keyof Actions | undefined {
  if (key === "Escape") return "escape";
  if (key === "ArrowDown" || key === "ArrowUp") return "move";
  if (typing) return undefined;
  if (key === "/") return "find";
  if (key === "?") return "help";
  return key === " " && !pressing ? "pause" : undefined;
}

export function useKeys(actions: Actions): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement;
      const pressing = /^(BUTTON|SUMMARY)$/.test(target.tagName);
      const wanted = target.tagName === "PRE" && event.key !== "Escape" ? undefined : meaning(event.key, target.tagName === "INPUT", pressing);
      if (!wanted) return;
      event.preventDefault();
      if (wanted === "move") actions.move(event.key === "ArrowDown" ? 1 : -1);
      else actions[wanted]();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
}

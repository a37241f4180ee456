import { useEffect } from "preact/hooks";

/** What the keys do, for the sheet: groups of keys with what they mean. */
export const KEYS: [string, [string, string][]][] = [
  [
    "List",
    [
      ["↑ ↓ k j", "the entry above, below"],
      ["Escape", "close the entry, leave the field"],
      ["Space", "pause, go on"],
      ["f", "failed ones only"],
      ["o", "newest, oldest, slowest, failed first"],
      ["l", "back to live"],
    ],
  ],
  [
    "Filter",
    [
      ["/", "write a filter"],
      ["Enter", "take it"],
      ["Tab", "take what is proposed"],
      ["Ctrl+Space", "propose something"],
      ["c", "clear it"],
    ],
  ],
  [
    "Page",
    [
      ["1 2 3", "list, map, state of weir"],
      ["t", "choose a time"],
      ["?", "this sheet"],
    ],
  ],
];

export interface Actions {
  find(): void;
  pause(): void;
  /** To the entry above (-1) or below (1). */
  move(step: number): void;
  escape(): void;
  help(): void;
  failed(): void;
  order(): void;
  live(): void;
  clear(): void;
  time(): void;
  /** To the first (0), second or third view. */
  view(at: number): void;
}

type Meaning = keyof Actions | undefined;

const LETTERS: Record<string, keyof Actions> = {
  "/": "find", "?": "help", f: "failed", o: "order", l: "live", c: "clear", t: "time", j: "move", k: "move", ArrowDown: "move", ArrowUp: "move",
  1: "view", 2: "view", 3: "view",
};

/** What a key means; undefined where it belongs to the element that has the focus. */
export function meaning(key: string, focus: { tag: string; widget: boolean }): Meaning {
  if (key === "Escape") return "escape";
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(focus.tag) || focus.widget) return undefined;
  if (focus.tag === "PRE" && key.startsWith("Arrow")) return undefined;
  if (key === " ") return /^(BUTTON|SUMMARY|A)$/.test(focus.tag) ? undefined : "pause";
  return Object.hasOwn(LETTERS, key) ? LETTERS[key] : undefined;
}

export function useKeys(actions: Actions): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const target = event.target as HTMLElement;
      const wanted = meaning(event.key, { tag: target.tagName, widget: Boolean(target.closest?.("[data-keys]")) });
      if (!wanted) return;
      event.preventDefault();
      if (wanted === "move") actions.move(event.key === "ArrowDown" || event.key === "j" ? 1 : -1);
      else if (wanted === "view") actions.view(Number(event.key) - 1);
      else actions[wanted]();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
}

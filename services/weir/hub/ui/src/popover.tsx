import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** A small window below what opened it; Escape and a click elsewhere close it. */
export function Popover({ label, onClose, children }: { label: string; onClose: () => void; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    if (!box.current!.contains(before)) box.current!.querySelector<HTMLElement>("button, input")?.focus();
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      onClose();
      before?.focus?.();
    };
    const onPress = (event: PointerEvent) => {
      // What opened it closes it, too, by its own click.
      if (!box.current!.parentElement!.contains(event.target as Node)) onClose();
    };
    addEventListener("keydown", onKey, true);
    addEventListener("pointerdown", onPress, true);
    return () => {
      removeEventListener("keydown", onKey, true);
      removeEventListener("pointerdown", onPress, true);
    };
  }, []);
  return (
    <div ref={box} class="popover" role="dialog" aria-label={label} data-keys="own">
      {children}
    </div>
  );
}

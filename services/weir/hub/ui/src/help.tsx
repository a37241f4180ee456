import { useEffect, useRef } from "preact/hooks";
import { KEYS } from "./keys";

export function Help({ onClose }: { onClose: () => void }) {
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    close.current?.focus();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog open class="help" aria-label="Keys">
      <button ref={close} class="close" onClick={onClose} aria-label="Close (Escape)">
        ×
      </button>
      {KEYS.map(([title, keys]) => (
        <section key={title}>
          <h3>{title}</h3>
          <dl>
            {keys.map(([key, text]) => (
              <div key={key}>
                <dt>
                  {key.split(" ").map((one) => (
                    <kbd key={one}>{one}</kbd>
                  ))}
                </dt>
                <dd>{text}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <section>
        <h3>Signs</h3>
        <p>
          <b class="ok">✓</b> went well · <b class="failed">✕</b> failed · ◌ something is missing · <b>·</b> cannot be told. Connections whose calls
          are listed are shown with tcp or udp.
        </p>
      </section>
    </dialog>
  );
}

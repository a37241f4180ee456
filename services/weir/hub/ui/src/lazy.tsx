import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

/** A part of the page that is loaded when it is first shown. */
export function lazy<P extends object>(load: () => Promise<{ default: ComponentType<P> }>): (props: P) => preact.JSX.Element {
  let loaded: ComponentType<P> | undefined;
  return (props: P) => {
    const [failed, setFailed] = useState(false);
    const [, setReady] = useState(loaded !== undefined);
    useEffect(() => {
      if (loaded) return;
      load().then(
        (found) => {
          loaded = found.default;
          setReady(true);
        },
        () => setFailed(true),
      );
    }, []);
    const Loaded = loaded;
    if (Loaded) return <Loaded {...props} />;
    if (!failed) return <p class="loading quiet">Loading…</p>;
    return (
      <p class="loading trouble">
        This part of the page did not load. Is weir still running? <button onClick={() => location.reload()}>Reload the page</button>
      </p>
    );
  };
}

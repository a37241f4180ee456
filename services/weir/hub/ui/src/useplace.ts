import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Place, read, worthKeeping, written } from "./place";

const here = () => read(location.search);

/** The place of the URL and a way to go elsewhere; Back and Forward lead here, too. */
export function usePlace(): [Place, (step: Partial<Place> | ((now: Place) => Partial<Place>)) => void] {
  const [place, setPlace] = useState(here);
  const now = useRef(place);
  useEffect(() => {
    const onPop = () => {
      now.current = here();
      setPlace(now.current);
    };
    addEventListener("popstate", onPop);
    return () => removeEventListener("popstate", onPop);
  }, []);
  const go = useCallback((step: Partial<Place> | ((now: Place) => Partial<Place>)) => {
    const from = now.current;
    const to = { ...from, ...(typeof step === "function" ? step(from) : step) };
    if (written(to) === written(from)) return;
    const url = location.pathname + written(to);
    if (worthKeeping(from, to)) history.pushState(null, "", url);
    else history.replaceState(null, "", url);
    now.current = to;
    setPlace(to);
  }, []);
  return [place, go];
}

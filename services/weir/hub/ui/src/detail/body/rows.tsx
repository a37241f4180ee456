import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** So many lines are simply there; of more only those in sight. */
const ALL = 300;
const HEIGHT = 18;
const BEYOND = 20;
/** Browsers draw no taller element. */
const TALLEST = 15_000_000;

interface Props {
  label: string;
  count: number;
  line: (index: number) => ComponentChildren;
}

/** Lines of one height, scrolled by themselves where they are many. */
export function Rows(props: Props) {
  return props.count <= ALL ? <Short {...props} /> : <Long {...props} />;
}

function Short({ label, count, line }: Props) {
  return (
    <pre class="lines" tabIndex={0} aria-label={label}>
      {Array.from({ length: count }, (_, at) => line(at))}
    </pre>
  );
}

function Long({ label, count, line }: Props) {
  const scroller = useRef<HTMLPreElement>(null);
  const sizer = useRef<HTMLDivElement>(null);
  const [sight, setSight] = useState({ from: 0, to: 60 });
  const height = Math.min(count * HEIGHT, TALLEST);
  const look = () => {
    const { scrollTop, clientHeight } = scroller.current!;
    const first = Math.floor(height === TALLEST ? (scrollTop / Math.max(TALLEST - clientHeight, 1)) * count : scrollTop / HEIGHT);
    const shown = Math.ceil(clientHeight / HEIGHT);
    setSight({ from: Math.max(first - BEYOND, 0), to: Math.min(first + shown + BEYOND, count) });
  };
  useLayoutEffect(look, [count]);
  useLayoutEffect(() => {
    sizer.current!.style.height = `${height}px`;
  }, [height]);
  const { from } = sight;
  const to = Math.min(sight.to, count);
  const top = height === TALLEST ? (from / count) * TALLEST : from * HEIGHT;
  return (
    <pre class="lines long" tabIndex={0} aria-label={`${label}, ${count.toLocaleString()} lines`} ref={scroller} onScroll={look}>
      <div class="sizer" ref={sizer}>
        <div class="window" style={{ transform: `translateY(${top}px)` }}>
          {Array.from({ length: Math.max(to - from, 0) }, (_, at) => line(from + at))}
        </div>
      </div>
    </pre>
  );
}

import { duration, perSecond } from "../format";
import type { Lost } from "./losses";
import { type Bar, type Span, type Window, ticks } from "./window";

/** Pixels: rates grow up from a base line and errors down from it, latencies lie below, then times. */
export const SIZE = { left: 46, right: 12, rate: 34, base: 40, errors: 12, latency: 56, deep: 20, height: 92 };
const LEAST = 2;
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const CLOCK_S = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" });

interface Props {
  width: number;
  window: Window;
  bars: Bar[];
  lost: Lost[];
  chosen: Span | undefined;
  cursor: number | undefined;
}

export function Plot({ width, window, bars, lost, chosen, cursor }: Props) {
  const { from, to, bucket } = window;
  const { left, right, rate, base, errors, height } = SIZE;
  const inner = width - left - right;
  const x = (at: number) => left + (Math.min(Math.max(at, from), to) - from) * (inner / (to - from));
  const most = bars.reduce((top, one) => Math.max(top, one.rate), 0);
  const slowest = bars.reduce((top, one) => Math.max(top, one.p99), 0);
  const up = (value: number) => (most ? (value / most) * rate : 0);
  const span = bucket * 1000;
  const marks = ticks(window, Math.max(2, Math.floor(inner / 110)));
  const fine = marks.some((one) => one % 60_000);
  const wide = (at: number) => Math.max(1, x(at + span) - x(at) - (inner / ((to - from) / span) > 4 ? 1 : 0));
  return (
    <svg width={width} height={height} role="presentation">
      <defs>
        <pattern id="sampled" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="hatch" width="2" height="5" />
        </pattern>
      </defs>
      <line class="base" x1={left} x2={width - right} y1={base} y2={base} />
      {bars.map((one) => (
        <g key={one.at}>
          <rect class="calls" x={x(one.at)} width={wide(one.at)} y={base - Math.max(up(one.rate), 1)} height={Math.max(up(one.rate), 1)} />
          {one.share < 0.999 && <rect x={x(one.at)} width={wide(one.at)} y={base - Math.max(up(one.rate), 1)} height={Math.max(up(one.rate), 1)} fill="url(#sampled)" />}
          {one.errors > 0 && <rect class="errors" x={x(one.at)} width={wide(one.at)} y={base + 1} height={Math.min(errors, Math.max(LEAST, up(one.errors)))} />}
        </g>
      ))}
      <Latency bars={bars} x={x} span={span} slowest={slowest} />
      {lost.filter((one) => one.to > from && one.from < to).map((one, at) => (
        <path key={at} class="lost" d={`M${x(one.to) - 4} 0h8l-4 7z`} />
      ))}
      {most > 0 && (
        <>
          <text class="label" x={left - 6} y={base - rate + 8} text-anchor="end">
            {perSecond(most)}
          </text>
          <text class="label bad" x={left - 6} y={base + 10} text-anchor="end">
            ✕
          </text>
        </>
      )}
      {slowest > 0 && (
        <text class="label" x={left - 6} y={SIZE.latency + 8} text-anchor="end">
          {short(slowest)}
        </text>
      )}
      {marks.map((one) => (
        <text key={one} class="label" x={x(one)} y={height - 2} text-anchor={x(one) > width - 60 ? "end" : x(one) < left + 24 ? "start" : "middle"}>
          {(to - from > 86_400_000 ? DAY : fine ? CLOCK_S : CLOCK).format(one)}
        </text>
      ))}
      {chosen && <rect class="chosen" x={x(chosen.from)} width={Math.max(1, x(chosen.to) - x(chosen.from))} y={0} height={height - 12} />}
      {cursor !== undefined && <rect class="cursor" x={x(cursor)} width={wide(cursor)} y={0} height={height - 12} />}
    </svg>
  );
}

/** A latency without its decimals, where it has more than one digit before them. */
const short = (us: number) => duration(us).replace(/(\d\d)\.\d/, "$1");

/** p50 to p99 as a band, p95 as a line in it; the scale is logarithmic, as latencies are. */
function Latency({ bars, x, span, slowest }: { bars: Bar[]; x: (at: number) => number; span: number; slowest: number }) {
  const known = bars.filter((one) => one.p99 > 0);
  if (!known.length) return null;
  const fastest = known.reduce((low, one) => Math.min(low, Math.max(one.p50, 1)), slowest);
  const range = Math.log(Math.max(slowest / fastest, 1.0001));
  const y = (us: number) => SIZE.latency + SIZE.deep - (Math.log(Math.max(us, fastest) / fastest) / range) * SIZE.deep;
  return (
    <>
      {runs(known, span).map((run) => {
        const middle = (one: Bar) => x(one.at + span / 2).toFixed(1);
        const edge = (pick: (one: Bar) => number, list: Bar[]) => list.map((one) => `${middle(one)} ${y(pick(one)).toFixed(1)}`).join("L");
        const lone = run.length === 1;
        const one = run[0]!;
        return (
          <g key={one.at}>
            {lone ? (
              <rect class="band" x={Number(middle(one)) - 2} width={4} y={y(one.p99)} height={Math.max(1, y(one.p50) - y(one.p99))} />
            ) : (
              <path class="band" d={`M${edge((bar) => bar.p99, run)}L${edge((bar) => bar.p50, [...run].reverse())}Z`} />
            )}
            <path class="p95" d={lone ? `M${Number(middle(one)) - 2} ${y(one.p95)}h4` : `M${edge((bar) => bar.p95, run)}`} />
          </g>
        );
      })}
    </>
  );
}

/** Bars that follow one another: a gap is not bridged. */
export function runs(bars: Bar[], span: number): Bar[][] {
  const made: Bar[][] = [];
  for (const bar of bars) {
    const last = made.at(-1);
    if (last && bar.at - last.at(-1)!.at <= span * 1.5) last.push(bar);
    else made.push([bar]);
  }
  return made;
}

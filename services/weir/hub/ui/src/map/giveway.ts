/** Boxes give way to lines that would run beneath them. Pure. */
import { BOX, along, curve } from "./geometry";
import type { Call, Place, Places } from "./types";

/** More boxes leave no room for it, and it takes too long. */
const MOST = 40;
const ROUNDS = 3;
/** How far a box may go in one round, in pixels; the nearest first. */
const STEPS = [0, -30, 30, -60, 60, -90, 90, -120, 120];
/** Pixels of way that a line beneath a box is worth. */
const DEAR = 500;
const SAMPLES = Array.from({ length: 13 }, (_, at) => (at + 1) / 14);
const AIR = 6;

/** Moves boxes up and down in their columns, no nearer than `row` to others there. */
export function giveWay(places: Map<string, Place>, calls: readonly Call[], row: number): void {
  if (places.size > MOST) return;
  const lines = drawn(places, calls);
  const cost = (id: string) =>
    lines.reduce((sum, line) => {
      const own = line.includes(id);
      const under = own ? covers(line, [...places.keys()], places) : covers(line, [id], places);
      return sum + under * DEAR + (own ? Math.abs(places.get(line[0])!.y - places.get(line[1])!.y) : 0);
    }, 0);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [id, { x, y }] of [...places]) {
      const column = [...places].filter(([other, place]) => other !== id && place.x === x).map(([, place]) => place.y);
      let [best, least] = [y, Infinity];
      for (const step of STEPS) {
        if (step && column.some((other) => Math.abs(other - y - step) < row)) continue;
        places.set(id, { x, y: y + step });
        const found = cost(id);
        if (found < least) [best, least] = [y + step, found];
      }
      places.set(id, { x, y: best });
    }
  }
}

/** How many boxes lines run beneath. */
export const covered = (places: Places, calls: readonly Call[]) =>
  drawn(places, calls).reduce((sum, line) => sum + covers(line, [...places.keys()], places), 0);

const drawn = (places: Places, calls: readonly Call[]) => calls.filter(([src, dst]) => src !== dst && places.has(src) && places.has(dst));

/** How many of these boxes lie over a line that is not theirs. */
function covers([src, dst]: Call, boxes: readonly string[], places: Places): number {
  const line = curve(places.get(src)!, places.get(dst)!);
  const points = SAMPLES.map((share) => along(line, share));
  return boxes.filter((id) => {
    if (id === src || id === dst) return false;
    const box = places.get(id)!;
    return points.some(({ x, y }) => x > box.x - AIR && x < box.x + BOX.width + AIR && y > box.y - AIR && y < box.y + BOX.height + AIR);
  }).length;
}

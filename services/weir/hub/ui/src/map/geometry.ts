/** The shape of boxes, and of the lines between them. Pure. */
import type { Place } from "./types";

export const BOX = { width: 184, height: 40 };

/** A cubic Bézier: its begin, two points that bend it, its end. */
export type Points = readonly [number, number, number, number, number, number, number, number];

/** The line from one box to another, which begins and ends so far from the middle of their sides. */
export function curve(from: Place, to: Place, out = 0, into = 0): Points {
  const forth = to.x >= from.x;
  const [x1, y1] = [from.x + (forth ? BOX.width : 0), from.y + BOX.height / 2 + out];
  const [x2, y2] = [to.x + (to.x > from.x ? 0 : BOX.width), to.y + BOX.height / 2 + into];
  // Within a column a line leaves to the right, the farther the longer it is, so that such lines do not share a way.
  const bend = to.x === from.x ? 34 + Math.min(Math.abs(y2 - y1) * 0.14, 90) : Math.min(Math.max(Math.abs(x2 - x1) * 0.45, 30), 160);
  return [x1, y1, x1 + (forth ? bend : -bend), y1, x2 + (to.x > from.x ? -bend : bend), y2, x2, y2];
}

/** Where one is after a share of the way. */
export function along([x1, y1, ax, ay, bx, by, x2, y2]: Points, share: number): Place {
  const rest = 1 - share;
  const [a, b, c, d] = [rest ** 3, 3 * rest ** 2 * share, 3 * rest * share ** 2, share ** 3];
  return { x: Math.round(a * x1 + b * ax + c * bx + d * x2), y: Math.round(a * y1 + b * ay + c * by + d * y2) };
}

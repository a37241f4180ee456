/** Where one looks at the map from: a scale, and where its origin is. Pure. */

export interface Sight {
  x: number;
  y: number;
  scale: number;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const [SMALLEST, LARGEST] = [0.1, 3];
const MARGIN = 28;
/** Smaller than this nothing can be read: a small window shows a part. */
const READABLE = 0.7;
const NARROW = 600;

/** All of a box in the middle of a window, no larger than life. */
export function fitted(box: Box, window: { width: number; height: number }): Sight {
  const fits = Math.min((window.width - 2 * MARGIN) / box.width, (window.height - 2 * MARGIN) / box.height, 1);
  const scale = Math.max(fits, window.width < NARROW ? READABLE : SMALLEST);
  const x = scale > fits && box.width * scale > window.width ? MARGIN - box.x * scale : window.width / 2 - (box.x + box.width / 2) * scale;
  return { scale, x, y: window.height / 2 - (box.y + box.height / 2) * scale };
}

/** Closer or farther, with what is under a point staying there. */
export function zoomed({ x, y, scale }: Sight, by: number, at: { x: number; y: number }): Sight {
  const next = Math.min(Math.max(scale * by, SMALLEST), LARGEST);
  return { scale: next, x: at.x - ((at.x - x) / scale) * next, y: at.y - ((at.y - y) / scale) * next };
}

/** The least movement that brings a box into sight. */
export function revealing(sight: Sight, box: Box, window: { width: number; height: number }): Sight {
  const shift = (from: number, length: number, room: number) => {
    if (from < MARGIN) return MARGIN - from;
    return from + length > room - MARGIN ? room - MARGIN - from - length : 0;
  };
  const x = shift(box.x * sight.scale + sight.x, box.width * sight.scale, window.width);
  const y = shift(box.y * sight.scale + sight.y, box.height * sight.scale, window.height);
  return x || y ? { ...sight, x: sight.x + x, y: sight.y + y } : sight;
}

/** Whether a box is in sight as a whole. */
export const inSight = (sight: Sight, box: Box, window: { width: number; height: number }) =>
  box.x * sight.scale + sight.x >= 0 &&
  box.y * sight.scale + sight.y >= 0 &&
  (box.x + box.width) * sight.scale + sight.x <= window.width &&
  (box.y + box.height) * sight.scale + sight.y <= window.height;

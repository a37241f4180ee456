/** The map as a file: SVG for documents, Mermaid for texts. Pure. */
import { inert } from "../format";
import { type Label, type Line, failing, named, path, rate, shortened, state, writings, written } from "./edges";
import { BOX } from "./geometry";
import { extent } from "./layout";
import type { MapNode, Places, ServiceMap } from "./types";

const MARGIN = 24;
const INK = { fine: "#8795a1", touched: "#a15c00", failing: "#b3261e" };

const xml = (text: string) => inert(text).replace(/[&<>"'\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, (c) => `&#${c.charCodeAt(0)};`);

/** A file that needs nothing else: no styles, no fonts, no scripts. */
export function asSvg(nodes: readonly MapNode[], lines: readonly Line[], places: Places, label: Label, seconds: number): string {
  const { x, y, width, height } = extent(places);
  const box = [x - MARGIN, y - MARGIN - 20, width + 2 * MARGIN, height + 2 * MARGIN + 20];
  const arrows = Object.entries(INK).map(
    ([name, ink]) => `<marker id="${name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="${ink}"/></marker>`,
  );
  const drawn = lines.map((line) => `<path d="${path(line)}" fill="none" stroke="${INK[line.state]}" stroke-width="${line.width.toFixed(1)}" stroke-opacity="0.8" marker-end="url(#${line.state})"/>`);
  const words = writings(lines, label, seconds, lines.length);
  const said = lines.flatMap((line) => {
    const at = words.get(line.id);
    if (!at) return [];
    return `<text x="${at.x}" y="${at.y - 3}" text-anchor="middle" font-size="10" fill="${INK[line.state]}" stroke="#ffffff" stroke-width="3" paint-order="stroke">${xml(at.text)}</text>`;
  });
  const boxes = nodes.filter(({ id }) => places.has(id)).map((node) => {
    const at = places.get(node.id)!;
    const [left, top] = [at.x + 10, at.y];
    return (
      `<rect x="${at.x}" y="${at.y}" width="${BOX.width}" height="${BOX.height}" rx="7" fill="#ffffff" stroke="${state(node) === "fine" ? "#a9b4be" : INK[state(node)]}"/>` +
      `<text x="${left}" y="${top + 17}" font-size="12.5" font-weight="600" fill="#14202b">${xml(shortened(inert(node.name || node.role || node.id), 22))}</text>` +
      `<text x="${left}" y="${top + 32}" font-size="10.5" fill="#52616f">${xml(beneath(node, seconds))}</text>`
    );
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box.join(" ")}" width="${box[2]}" height="${box[3]}" font-family="system-ui, sans-serif">` +
    `<title>Who calls whom</title><defs>${arrows.join("")}</defs><rect x="${box[0]}" y="${box[1]}" width="${box[2]}" height="${box[3]}" fill="#ffffff"/>` +
    `${drawn.join("")}${boxes.join("")}${said.join("")}</svg>\n`
  );
}

/** What stands below a node's name. */
export function beneath(node: MapNode, seconds: number): string {
  const calls = node.count ? rate(node.count, seconds) : "";
  return [node.namespace ? shortened(inert(node.namespace), 14) : node.role && node.role !== "pod" ? node.role : "", calls, state(node) === "fine" ? "" : failing(node)].filter(Boolean).join(" · ");
}

const quoted = (text: string) => inert(text).replace(/[^\p{L}\p{N} .,:/()[\]@·✕%+=_-]/gu, (c) => `#${c.codePointAt(0)};`);

/** A flowchart as GitHub, GitLab and many wikis draw it. */
export function asMermaid(map: ServiceMap, label: Label, seconds: number): string {
  const number = new Map(map.nodes.map(({ id }, at) => [id, `n${at}`]));
  const nodes = map.nodes.map((node) => `  ${number.get(node.id)}["${quoted(named(node))}"]`);
  const edges = map.edges.filter(({ src, dst }) => number.has(src) && number.has(dst));
  const links = edges.map((edge) => {
    const said = written(edge, label === "none" ? "calls" : label, seconds);
    return `  ${number.get(edge.src)} -->|"${quoted(said)}"| ${number.get(edge.dst)}`;
  });
  const bad = edges.flatMap((edge, at) => (state(edge) === "failing" ? [at] : []));
  return ["flowchart LR", ...nodes, ...links, ...(bad.length ? [`  linkStyle ${bad.join(",")} stroke:${INK.failing}`] : [])].join("\n") + "\n";
}

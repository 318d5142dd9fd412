// Lines over two axes that grow with their data. Sizes are of a picture 640 wide, which is scaled to its place.
import { svg } from "./dom.mjs";

const WIDE = 640;
const HIGH = 300;
const LEFT = 84;
const RIGHT = 20;
const TOP = 20;
const FOOT = 64;

export function plot({ x, y, lines, language = "en" }) {
  const node = svg("svg", { class: "plot", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${y}; ${x}` });
  const draw = (now) => node.replaceChildren(...picture(now, x, y, new Intl.NumberFormat(language)));
  draw(lines);
  return { node, draw };
}

function picture(lines, x, y, number) {
  const points = lines.flatMap((line) => line.points);
  const across = axis(points.map(([value]) => value), LEFT, WIDE - RIGHT);
  const up = axis([0, ...points.map(([, value]) => value)], HIGH - FOOT, TOP);
  return [
    ...up.ticks.flatMap((value) => levelLine(up.place(value), number.format(value))),
    ...across.ticks.map((value) =>
      svg("text", { x: across.place(value), y: HIGH - FOOT + 26, "text-anchor": "middle" }, number.format(value))),
    svg("text", { x: WIDE - RIGHT, y: HIGH - 8, "text-anchor": "end" }, x),
    svg("text", { x: -TOP, y: 20, "text-anchor": "end", transform: "rotate(-90)" }, y),
    ...lines.map(({ points: all, colour }) =>
      svg("polyline", {
        points: all.map(([a, b]) => `${across.place(a).toFixed(1)},${up.place(b).toFixed(1)}`).join(" "),
        style: `stroke: ${colour}`,
      })),
  ];
}

const levelLine = (at, label) => [
  svg("line", { x1: LEFT, x2: WIDE - RIGHT, y1: at, y2: at }),
  svg("text", { x: LEFT - 10, y: at + 6, "text-anchor": "end" }, label),
];

function axis(values, from, to) {
  const low = Math.min(...values, Infinity);
  const step = stepOf(Math.max(...values, -Infinity) - low);
  const first = Number.isFinite(low) ? Math.floor(low / step) : 0;
  const last = Math.max(first + 1, Number.isFinite(low) ? Math.ceil(Math.max(...values) / step) : 1);
  const ticks = Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step);
  const place = (value) => from + ((value / step - first) / (last - first)) * (to - from);
  return { ticks, place };
}

// 1, 2 or 5 times a power of ten, so that three to six of them reach over the span.
function stepOf(span) {
  if (!(span > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(span / 3));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => span / step <= 6);
}

// Lines over two axes that grow with their data, in the page's own letters: a picture as large as its place.
import { el, svg } from "./dom.mjs";

/**
 * x, y: the axes' labels. lines: [{name, colour, points: [[x, y], ...], dashes}]. across: [least, most] of x, where it is
 * known before the data. Returns {node, draw(lines, marks)}; marks: [{x, text}], upright lines with a word.
 */
export function plot({ x, y, lines, across = null, language = "en" }) {
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const legend = el("figcaption");
  const drawing = svg("svg", { role: "img", "aria-label": `${y}; ${x}` });
  let shown = [lines, []];
  const redraw = () => {
    const room = roomOf(drawing);
    if (!room) return;
    drawing.setAttribute("viewBox", `0 0 ${room.width} ${room.height}`); // of another size on paper
    drawing.replaceChildren(...picture(room, ...shown, { x, across, number }));
  };
  new ResizeObserver(redraw).observe(drawing);
  const draw = (now, marks = []) => {
    shown = [now, marks];
    legend.replaceChildren(el("span", null, y), ...now.map(sample));
    redraw();
  };
  draw(lines);
  return { node: el("figure", { class: "plot" }, legend, drawing), draw };
}

const sample = ({ name, colour }) => el("span", null, el("i", { style: `background: ${colour}` }), name);

// In pixels; `type` is the height of the letters.
function roomOf(node) {
  const { width, height } = node.getBoundingClientRect();
  const type = parseFloat(getComputedStyle(node).fontSize);
  const [left, right, top, foot] = [3.2 * type, width - type, type / 2, height - 2.8 * type];
  return width > 0 && foot > top ? { left, right, top, foot, width, height, type } : null;
}

function picture(room, lines, marks, { x, across, number }) {
  const points = lines.flatMap((line) => line.points);
  const [along, up] = [
    across ? exactly(across, room.left, room.right) : axis(points.map(([value]) => value), room.left, room.right),
    axis([0, ...points.map(([, value]) => value)], room.foot, room.top),
  ];
  return [
    ...up.ticks.flatMap((value) => level(up.place(value), number.format(value), room)),
    ...along.ticks.map((value) => word(along.place(value), room.foot + 1.3 * room.type, number.format(value), "middle")),
    word(room.right, room.foot + 2.6 * room.type, x, "end"),
    ...marks.flatMap((mark) => upright(along.place(mark.x), mark.text, room)),
    ...lines.map(({ points: all, colour, dashes }) =>
      svg("polyline", {
        points: all.map(([a, b]) => `${along.place(a).toFixed(1)},${up.place(b).toFixed(1)}`).join(" "),
        style: `stroke: ${colour}`,
        "stroke-dasharray": dashes,
      })),
  ];
}

const word = (x, y, text, anchor) => svg("text", { x, y, "text-anchor": anchor }, text);

const level = (at, label, { left, right, type }) => [
  svg("line", { x1: left, x2: right, y1: at, y2: at }),
  word(left - type / 2, at + type / 3, label, "end"),
];

const upright = (at, text, { left, right, top, foot, type }) => {
  const onTheLeft = at < (left + right) / 2;
  return [
    svg("line", { class: "mark", x1: at, x2: at, y1: top, y2: foot }),
    word(at + (onTheLeft ? type / 2 : -type / 2), top + 1.2 * type, text, onTheLeft ? "start" : "end"),
  ];
};

// Round numbers from the least to the most or a little further.
function axis(values, from, to) {
  const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  const step = stepOf(high - low);
  return exactly([Math.floor(low / step) * step, Math.max(Math.ceil(high / step), Math.floor(low / step) + 1) * step], from, to);
}

// From the least to the most, with round numbers between.
function exactly([low, high], from, to) {
  const step = stepOf(high - low);
  const first = Math.ceil(low / step);
  const ticks = Array.from({ length: Math.floor(high / step) - first + 1 }, (_, at) => (first + at) * step);
  return { ticks, place: (value) => from + ((value - low) / (high - low)) * (to - from) };
}

// 1, 2 or 5 times a power of ten, of which at most five make up the span.
function stepOf(span) {
  if (!(span > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(span / 5));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => span / step <= 5);
}

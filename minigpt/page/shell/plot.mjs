// Lines over two axes that grow with their data, in the page's own letters: a picture as large as its place.
import { svg } from "./dom.mjs";

/**
 * x, y: the axes' labels. lines: [{name, colour, points: [[x, y], ...]}]. across: [least, most] of x, where it is known
 * before the data. Returns {node, draw(lines, marks)}; marks: [{x, text}], upright lines with a word.
 */
export function plot({ x, y, lines, across = null, language = "en" }) {
  const node = svg("svg", { class: "plot", role: "img", "aria-label": `${y}; ${x}` });
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  let shown = [lines, []];
  const redraw = () => {
    const room = roomOf(node);
    if (room) node.replaceChildren(...picture(room, ...shown, { x, y, across, number }));
  };
  new ResizeObserver(redraw).observe(node);
  const draw = (now, marks = []) => {
    shown = [now, marks];
    redraw();
  };
  return { node, draw };
}

// In pixels; `type` is the height of the letters.
function roomOf(node) {
  const { width, height } = node.getBoundingClientRect();
  const type = parseFloat(getComputedStyle(node).fontSize);
  const [left, right, top, foot] = [3.4 * type, width - type, 3 * type, height - 2.9 * type];
  return width > 0 && foot > top ? { left, right, top, foot, height, type } : null;
}

function picture(room, lines, marks, { x, y, across, number }) {
  const points = lines.flatMap((line) => line.points);
  const [along, up] = [
    axis(across ?? points.map(([value]) => value), room.left, room.right, 4),
    axis([0, ...points.map(([, value]) => value)], room.foot, room.top, 5),
  ];
  return [
    ...up.ticks.flatMap((value) => level(up.place(value), number.format(value), room)),
    ...along.ticks.map((value) => word(along.place(value), room.foot + 1.3 * room.type, number.format(value), "middle")),
    word(room.right, room.foot + 2.6 * room.type, x, "end"),
    word(0, room.type, y, "start"),
    ...marks.flatMap((mark) => upright(along.place(mark.x), mark.text, room)),
    ...lines.map(({ points: all, colour, dashes }) =>
      svg("polyline", {
        points: all.map(([a, b]) => `${along.place(a).toFixed(1)},${up.place(b).toFixed(1)}`).join(" "),
        style: `stroke: ${colour}`,
        "stroke-dasharray": dashes,
      })),
    ...legend(lines, room),
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

// One beside the other: a sample of each line, and its name.
const legend = (lines, { left, type }) =>
  lines.flatMap(({ name, colour, dashes }, at) => {
    const from = left + lines.slice(0, at).reduce((sum, line) => sum + (line.name.length * 0.65 + 3.5) * type, 0);
    const y = 2.1 * type;
    return [
      svg("line", { class: "sample", x1: from, x2: from + 1.5 * type, y1: y, y2: y, style: `stroke: ${colour}`, "stroke-dasharray": dashes }),
      word(from + 2 * type, y + type / 3, name, "start"),
    ];
  });

// Round numbers from the least to the most or a little further, at most `most` steps of them.
function axis(values, from, to, most) {
  const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  const step = stepOf(high - low, most);
  const first = Math.floor(low / step);
  const last = Math.max(first + 1, Math.ceil(high / step));
  const ticks = Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step);
  return { ticks, place: (value) => from + ((value / step - first) / (last - first)) * (to - from) };
}

// 1, 2 or 5 times a power of ten.
function stepOf(span, most) {
  if (!(span > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(span / most));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => span / step <= most);
}

// Each slide in the largest type in which it fits, 24 pixels of 720 at least, before reveal.js hides all but one.
// Formulas, code and tables are broken only where the smallest type would not do without.
const SMALLEST = 24;
const LARGEST = { claim: 48, predict: 48, title: 40, race: 36, shown: 32, text: 36, questions: 32 };
const SMALL = 26; // beside a figure, and where lines are broken, so that few are
const HEADING = 42;

const fits = (box) => box.scrollHeight <= box.clientHeight && box.scrollWidth <= box.clientWidth;

function fitted(boxes, element, largest) {
  for (let size = largest; size >= SMALLEST; size -= 2) {
    element.style.fontSize = `${size}px`;
    if (boxes.every(fits)) return true;
  }
  return false;
}

function fit(slide) {
  const [heading, body] = [slide.querySelector("h2"), slide.querySelector(".body")];
  const boxes = [body, ...body.querySelectorAll("pre, pre span")];
  const largest = body.querySelector("figure") ? SMALL : LARGEST[slide.parentElement.className];
  if (!fitted([heading], heading, HEADING)) heading.style.whiteSpace = "normal";
  if (fitted(boxes, body, largest)) return;
  body.classList.add("broken");
  fitted(boxes, body, SMALL);
}

const all = document.querySelector(".slides");
all.classList.add("measured");
document.querySelectorAll(".slide").forEach(fit);
all.classList.remove("measured");

// An answer and a claim are held back until what is above them has been seen. Only now: the type of a fragment changes slowly.
document.querySelectorAll(":is(.answer, .statement):not(:first-child)").forEach((last) => last.classList.add("fragment"));

Reveal.initialize({
  width: 1280,
  height: 720,
  margin: 0,
  center: false,
  controls: false,
  hash: true,
  navigationMode: "linear",
  slideNumber: "c/t",
  pdfSeparateFragments: false,
  defaultTiming: 60, // seconds, so that the speaker's clock runs; each slide says its own
  transition: "none",
  backgroundTransition: "none",
  keyboard: { 68: () => document.documentElement.classList.toggle("dark") }, // D
  plugins: [RevealNotes],
});

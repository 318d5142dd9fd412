// Each slide in the largest type in which it fits, 24 pixels of 720 at least, before reveal.js hides all but one.
// Lines of code and of tables are broken only where the smallest type would not do without.
const SMALLEST = 24;
const LARGEST = { claim: 48, predict: 48, title: 40, shown: 32, text: 36, questions: 32 };

function fits(box) {
  return box.scrollHeight <= box.clientHeight && box.scrollWidth <= box.clientWidth;
}

function fit(slide) {
  const body = slide.querySelector(".body");
  const largest = body.querySelector("figure") ? 26 : LARGEST[slide.parentElement.className]; // the figure comes first
  const boxes = [body, ...body.querySelectorAll("pre, pre span")];
  for (const broken of [false, true]) {
    slide.classList.toggle("broken", broken);
    for (let size = largest; size >= SMALLEST; size -= 2) {
      body.style.fontSize = `${size}px`;
      if (boxes.every(fits)) return;
    }
  }
}

// An answer is held back until what was shown has been seen.
document.querySelectorAll(".answer:not(:first-child)").forEach((answer) => answer.classList.add("fragment"));

const all = document.querySelector(".slides");
all.classList.add("measured");
document.querySelectorAll(".slide").forEach(fit);
all.classList.remove("measured");

Reveal.initialize({
  width: 1280,
  height: 720,
  margin: 0,
  center: false,
  controls: false,
  hash: true,
  navigationMode: "linear",
  slideNumber: "c/t",
  transition: "none",
  backgroundTransition: "none",
  keyboard: { 68: () => document.documentElement.classList.toggle("dark") }, // D
  plugins: [RevealNotes],
});

// Goes through all slides as a lecturer does, and writes into the page what stands out of each, in pixels of 1280 x 720.
const refused = [];
document.addEventListener("securitypolicyviolation", (event) => refused.push(event.blockedURI));

function measured(slide) {
  const { h, v } = Reveal.getIndices(slide);
  Reveal.slide(h, v, 99); // every answer open
  const page = slide.querySelector(".slide").getBoundingClientRect();
  const body = slide.querySelector(".body");
  const room = body.getBoundingClientRect();
  const all = [...slide.querySelectorAll(".slide *")];
  const out = all.filter((each) => {
    const box = each.getBoundingClientRect();
    const within = body.contains(each) ? room : page;
    const outside = Math.max(within.left - box.left, within.top - box.top, box.right - within.right, box.bottom - within.bottom);
    return outside > 1 || each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline";
  });
  const words = all.filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return {
    heading: slide.querySelector("h2").textContent,
    kind: slide.className.split(" ")[0],
    seen: page.width,
    out: out.map((each) => `${each.tagName} ${each.textContent.slice(0, 60)}`),
    type: Math.min(...words.map((each) => parseFloat(getComputedStyle(each).fontSize))),
    pictures: [...slide.querySelectorAll("img")].map((img) => img.naturalWidth && Math.min(img.width, img.height)),
  };
}

const waiting = setInterval(() => {
  if (document.readyState !== "complete" || !Reveal.isReady()) return;
  clearInterval(waiting);
  const slides = Reveal.getSlides().map(measured);
  const fetched = performance.getEntriesByType("resource").map((each) => each.name);
  const result = { slides, fetched: fetched.filter((name) => !name.startsWith("data:")), refused };
  document.body.textContent = JSON.stringify(result);
}, 50);

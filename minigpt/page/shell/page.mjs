// What a scene is given: see the names below. It builds its part of the stage, and tells what it found.
import { connect } from "../engine/client.mjs";
import { button, choice } from "./controls.mjs";
import { byId, el, svg } from "./dom.mjs";
import { change, ofScene, read } from "./hash.mjs";
import { misread } from "./misread.mjs";
import { plot } from "./plot.mjs";
import { table } from "./table.mjs";

export function pageOf(stage, scene, t, language, dark, data) {
  const finding = el("p", { class: "finding", hidden: true });
  const details = el("details", { hidden: true });
  const foot = el("div", { class: "foot" }, details);
  const root = el("div", { class: "scene" });
  const amiss = el("p", { class: "misread", role: "alert", hidden: true });
  stage.replaceChildren(el("h1", null, t("question")), amiss, root, finding, foot);
  const say = (text) => byId("say").replaceChildren(text);
  /** Says below the question what the address asks amiss. */
  function check() {
    const params = read();
    const used = { scene: scene.name, lang: language, theme: dark ? "dark" : "light", ...scene.read(ofScene(params), data) };
    amiss.textContent = misread(t, params, used);
    amiss.hidden = !amiss.textContent;
  }
  const set = (patch) => {
    change(patch);
    check();
  };
  return {
    root,
    check,
    page: {
      connect, data, t, params: ofScene(read()), set, say, el, svg, button, choice, language, dark,
      plot: (what) => plot({ ...what, language }),
      colour: (name) => colourOf(root, name),
      // Beside the table: what only some want to know.
      aside: (...nodes) => foot.replaceChildren(...nodes.filter(Boolean), details),
      finding(text) {
        finding.hidden = !text;
        finding.replaceChildren(text);
        if (text) say(text);
      },
      table(caption, head, rows) {
        details.hidden = caption === null;
        if (details.hidden) return;
        details.replaceChildren(el("summary", null, t("table", { caption })), table(caption, head, rows));
      },
    },
  };
}

// A variable of the styles as a colour that a canvas takes, in the theme that is on: "--blue" to "rgb(0, 114, 178)".
function colourOf(root, name) {
  const probe = el("i", { style: `color: var(${name})` });
  root.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

// The head of the page: its name, the scenes by number, and the switches.
import { el } from "./dom.mjs";
import { address, ofShell, read } from "./hash.mjs";
import { button } from "./controls.mjs";

export function fillBar(bar, t, scenes, current, language, dark, act) {
  const tab = (scene, at) =>
    el(
      "a",
      {
        href: address({ ...ofShell(read()), scene: scene.name }),
        "aria-current": scene === current ? "page" : null,
        onclick: (event) => visit(event, scene),
      },
      el("b", null, String(at + 1)),
      el("span", null, scene.words[language].title),
    );
  // In a tab of its own, if that is asked for, it begins anew.
  function visit(event, scene) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    act.visit(scene);
  }
  bar.replaceChildren(
    el("p", { class: "brand" }, t("brand")),
    el("nav", { "aria-label": t("scenes") }, scenes.map(tab)),
    el(
      "div",
      { class: "switches" },
      button(t("language"), "L", act.language),
      button(t(dark ? "to_light" : "to_dark"), "T", act.theme),
      button(t("help"), "?", act.help),
    ),
  );
}

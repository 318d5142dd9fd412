// The keys, asked for with `?`.
import { el } from "./dom.mjs";
import { button } from "./controls.mjs";

export function fillHelp(dialog, t, title, keys) {
  const everywhere = [
    ["1 … 5", t("keys_scenes")],
    ["L", t("keys_language")],
    ["T", t("keys_theme")],
    ["?", t("keys_help")],
    ["Esc", t("keys_escape")],
  ];
  dialog.setAttribute("aria-label", t("help"));
  dialog.replaceChildren(
    el("h2", null, t("keys_of", { scene: title })),
    list(keys),
    el("h2", null, t("keys_shell")),
    list(everywhere),
    button(t("close"), "Esc", () => dialog.close(), { autofocus: true }),
  );
}

const list = (keys) => el("dl", null, keys.flatMap(([key, what]) => [el("dt", null, el("kbd", null, key)), el("dd", null, what)]));

// The page: which scene is on the stage, in which language and theme. All of it is in the address.
import { breakIt } from "../scenes/break_it.mjs";
import { forget } from "../scenes/forget.mjs";
import { grow } from "../scenes/grow.mjs";
import { memory } from "../scenes/memory.mjs";
import { race } from "../scenes/race.mjs";
import { fillBar } from "./bar.mjs";
import { byId } from "./dom.mjs";
import { address, change, ofScene, ofShell, read } from "./hash.mjs";
import { fillHelp } from "./help.mjs";
import { isFree, leaveField } from "./keys.mjs";
import { pageOf } from "./page.mjs";
import { LANGUAGES, translator } from "./words.mjs";

const SCENES = [race, grow, breakIt, memory, forget];
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const bar = byId("bar");
const stage = byId("stage");
const help = byId("help");
const skip = byId("skip");
const data = JSON.parse(byId("data").textContent);
const left = {}; // of each scene that was left, its part of the address
let on = null; // { scene, language, dark, check, mounted }

const sceneOf = ({ scene }) => SCENES.find(({ name }) => name === scene) ?? SCENES[0];
const languageOf = ({ lang }) => LANGUAGES.find((each) => (lang ?? navigator.language).startsWith(each)) ?? "en";
const isDark = ({ theme }) => (theme ? theme === "dark" : prefersDark.matches);

const act = {
  language: () => go({ lang: LANGUAGES[1 - LANGUAGES.indexOf(on.language)] }),
  theme: () => go({ theme: on.dark ? "light" : "dark" }),
  help: () => help.showModal(),
  visit,
};
const KEYS = { l: act.language, t: act.theme, "?": act.help };

function go(patch) {
  change(patch);
  update();
}

// A scene is found as it was left.
function visit(scene) {
  const params = read();
  left[on.scene.name] = ofScene(params);
  location.hash = address({ ...ofShell(params), ...left[scene.name], scene: scene.name });
}

function update() {
  const params = read();
  const now = { scene: sceneOf(params), language: languageOf(params), dark: isDark(params) };
  if (on && ["scene", "language", "dark"].every((name) => on[name] === now[name])) on.mounted.show(ofScene(params));
  else mount(now);
  on.check();
}

function mount(now) {
  on?.mounted.leave();
  const { scene, language, dark } = now;
  const t = translator(language, scene.words);
  document.documentElement.className = dark ? "dark" : "light";
  document.documentElement.lang = language;
  document.title = `${t("title")}: ${t("brand")}`;
  skip.textContent = t("skip");
  fillBar(bar, t, SCENES, scene, language, dark, act);
  fillHelp(help, t, t("title"), scene.words[language].keys);
  stage.dataset.scene = scene.name;
  const { root, page, check } = pageOf(stage, scene, t, language, dark, data);
  on = { ...now, check, mounted: scene.mount(root, page) };
}

function onKey(event) {
  if (help.open) return;
  leaveField(event);
  if (!isFree(event)) return;
  const number = Number(event.key);
  if (on.mounted.key(event)) event.preventDefault();
  else if (SCENES[number - 1]) visit(SCENES[number - 1]);
  else if (KEYS[event.key.toLowerCase()]) KEYS[event.key.toLowerCase()]();
  else return;
  event.preventDefault();
}

skip.addEventListener("click", (event) => {
  event.preventDefault(); // the address is the scene's
  stage.focus();
});
addEventListener("hashchange", update);
prefersDark.addEventListener("change", update);
document.addEventListener("keydown", onKey);
update();

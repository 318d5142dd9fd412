// Who is given what: chosen from the people and things that the model was taught, each used once.
import { el } from "../shell/dom.mjs";

const START = "Romeo-ruby.Juliet-emerald.Hamlet-lantern.Ophelia-mirror";

/** The facts that an address tells: "Romeo-ruby.Juliet-emerald. ..."; those to start with if it makes no sense. */
export function factsFrom(text, data) {
  const facts = (text ?? "").split(".").map((pair) => {
    const [person, thing] = pair.split("-");
    return { person, thing };
  });
  const known = facts.every(({ person, thing }) => Object.hasOwn(data.people, person) && Object.hasOwn(data.things, thing ?? ""));
  const once = ["person", "thing"].every((kind) => new Set(facts.map((fact) => fact[kind])).size === facts.length);
  return known && once && facts.length === 4 ? facts : factsFrom(START, data);
}

export const factsAsText = (facts) => facts.map(({ person, thing }) => `${person}-${thing}`).join(".");

/** Others, by chance. */
export function otherFacts(data) {
  const [people, things] = [data.people, data.things].map((all) => shuffled(Object.keys(all)));
  return people.slice(0, 4).map((person, at) => ({ person, thing: things[at] }));
}

function shuffled(all) {
  const drawn = all.map((each) => [Math.random(), each]).sort(([a], [b]) => a - b);
  return drawn.map(([, each]) => each);
}

/** The facts with one choice changed. Who had it before takes what was there. */
export function changed(facts, at, kind, value) {
  const old = facts[at][kind];
  return facts.map((fact, i) => (i === at ? { ...fact, [kind]: value } : fact[kind] === value ? { ...fact, [kind]: old } : fact));
}

/** The line that has it already, if that is another one: counted from 1, else 0. */
function taken(facts, at, kind, value) {
  const line = facts.findIndex((fact) => fact[kind] === value);
  return line === at ? 0 : line + 1;
}

/** Returns {node, show(facts, asked)}: a line for each, as the model reads it. */
export function factRows({ t, data, say }, onfacts, onask) {
  let shown = [];
  const rows = Array.from({ length: 4 }, (_, at) => {
    const select = (kind, all) => {
      const onchange = ({ target: { value } }) => {
        const [n, old] = [taken(shown, at, kind, value), shown[at][kind]];
        onfacts(changed(shown, at, kind, value));
        if (n) say(t("swapped", { name: value, n, old }));
      };
      const options = Object.keys(all).map((name) => el("option", { value: name }, name));
      return el("select", { name: `${kind}${at + 1}`, "aria-label": t(kind, { n: at + 1 }), onchange }, options);
    };
    const [person, thing] = [select("person", data.forget.people), select("thing", data.forget.things)];
    const ask = el("button", { type: "button", onclick: () => onask(at) }, t("ask"));
    return { person, thing, ask, node: el("li", null, el("code", null, "[Give"), person, thing, el("code", null, ".]"), ask) };
  });
  const node = el("ol", { class: "facts", "aria-label": t("given") }, rows.map((row) => row.node));
  const show = (facts, asked) => {
    shown = facts;
    rows.forEach(({ person, thing, ask, node: line }, at) => {
      for (const [kind, select] of [["person", person], ["thing", thing]]) {
        for (const option of select.options) {
          const [name, n] = [option.value, taken(facts, at, kind, option.value)];
          option.textContent = n ? t("swap", { name, n }) : name;
        }
        select.value = facts[at][kind];
      }
      ask.setAttribute("aria-pressed", at === asked);
      ask.setAttribute("aria-label", `${t("ask")}: ${facts[at].person}`);
      line.classList.toggle("asked", at === asked);
    });
  };
  return { node, show };
}

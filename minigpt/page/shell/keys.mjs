// Which keys a focused element needs for itself. All others are the scene's, then the shell's.

const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];
const NEEDS = [
  ["textarea, input:not([type=range], [type=radio], [type=checkbox]), [contenteditable]", () => true],
  ["select", (key) => ARROWS.includes(key) || key === "Enter" || key === " "],
  ["input[type=range], input[type=radio]", (key) => ARROWS.includes(key) || key === " "],
  ["button, summary, a, input[type=checkbox]", (key) => key === "Enter" || key === " "],
];

export function isFree(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return false;
  return !NEEDS.some(([selector, needs]) => event.target.matches?.(selector) && needs(event.key));
}

// Out of a field: Escape gives all keys back to the scene.
export function leaveField(event) {
  if (event.key === "Escape" && event.target.matches?.("textarea, input, select")) event.target.blur();
}

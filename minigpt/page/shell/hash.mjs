// The page's address: #scene=grow&step=12&lang=zh. What is in it can be sent to somebody, or written on a slide.

export const SHELL = ["scene", "lang", "theme"]; // all else is the scene's own

export const read = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

export const ofScene = (params) => Object.fromEntries(Object.entries(params).filter(([name]) => !SHELL.includes(name)));

export const ofShell = (params) => Object.fromEntries(Object.entries(params).filter(([name]) => SHELL.includes(name)));

export function address(params) {
  const told = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `#${new URLSearchParams(told)}`;
}

// Without an entry in the history: going back leads to the scene before, not through every press of a key.
export const change = (patch) => history.replaceState(null, "", address({ ...read(), ...patch }));

import { growWords } from "./grow_words.mjs";

export const grow = { name: "grow", words: growWords, mount: () => ({ key: () => false, show() {}, leave() {} }) };

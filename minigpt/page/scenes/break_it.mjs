import { breakItWords } from "./break_it_words.mjs";

export const breakIt = { name: "break_it", words: breakItWords, mount: () => ({ key: () => false, show() {}, leave() {} }) };

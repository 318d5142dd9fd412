import { forgetWords } from "./forget_words.mjs";

export const forget = { name: "forget", words: forgetWords, mount: () => ({ key: () => false, show() {}, leave() {} }) };

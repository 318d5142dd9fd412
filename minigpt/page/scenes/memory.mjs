import { memoryWords } from "./memory_words.mjs";

export const memory = { name: "memory", words: memoryWords, mount: () => ({ key: () => false, show() {}, leave() {} }) };

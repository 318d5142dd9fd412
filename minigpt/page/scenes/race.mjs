import { raceWords } from "./race_words.mjs";

export const race = { name: "race", words: raceWords, mount: () => ({ key: () => false, show() {}, leave() {} }) };

export const forgetWords = {
  en: { title: "forget", question: "forget", keys: [] },
  zh: { title: "forget", question: "forget", keys: [] },
};

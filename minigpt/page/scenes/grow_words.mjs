export const growWords = {
  en: { title: "grow", question: "grow", keys: [] },
  zh: { title: "grow", question: "grow", keys: [] },
};

export const memoryWords = {
  en: { title: "memory", question: "memory", keys: [] },
  zh: { title: "memory", question: "memory", keys: [] },
};

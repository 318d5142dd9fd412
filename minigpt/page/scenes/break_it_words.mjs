export const breakItWords = {
  en: { title: "break_it", question: "break_it", keys: [] },
  zh: { title: "break_it", question: "break_it", keys: [] },
};

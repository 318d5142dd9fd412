export const raceWords = {
  en: { title: "Race", question: "The same text twice: with a cache, and without", keys: [] },
  zh: { title: "赛跑", question: "同样的文本，两种算法：有缓存与无缓存", keys: [] },
};

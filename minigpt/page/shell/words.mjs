// What the shell says, in both languages; and how words of a scene are found.

export const LANGUAGES = ["en", "zh"];

export const shellWords = {
  en: {
    brand: "The KV cache, live",
    skip: "Skip to the scene",
    scenes: "Scenes",
    language: "中文",
    to_dark: "Dark",
    to_light: "Light",
    help: "Keys",
    keys_of: "Keys of {scene}",
    keys_shell: "Keys everywhere",
    keys_scenes: "the five scenes",
    keys_language: "English or Chinese",
    keys_theme: "light or dark",
    keys_help: "these keys",
    keys_escape: "leave a field, close this",
    close: "Close",
    table: "The numbers, as a table: {caption}",
    loading: "Reading the model …",
    no_prompt: "The prompt is empty: type a word.",
    too_long: "{count} tokens and {tokens} new ones, the last of which is never fed, are more than the model's {context}: shorten the prompt to {most} tokens.",
    link_amiss: "Not valid in this link: {told}.",
    link_instead: "{asked} (used instead: {instead})",
    link_ignored: "{asked} (ignored)",
    link_and: ", ",
  },
  zh: {
    brand: "KV 缓存，现场运行",
    skip: "跳到演示",
    scenes: "演示",
    language: "English",
    to_dark: "深色",
    to_light: "浅色",
    help: "按键",
    keys_of: "“{scene}”的按键",
    keys_shell: "通用按键",
    keys_scenes: "五个演示",
    keys_language: "中文或英文",
    keys_theme: "浅色或深色",
    keys_help: "显示这些按键",
    keys_escape: "离开输入框或下拉框，关闭本窗口",
    close: "关闭",
    table: "数据表：{caption}",
    loading: "正在读取模型……",
    no_prompt: "提示词为空：请输入文字。",
    too_long: "{count} 个词元加 {tokens} 个新词元（最后一个不再输入），超过模型的 {context} 个：请把提示词缩短到 {most} 个词元。",
    link_amiss: "链接中有无效内容：{told}。",
    link_instead: "{asked}（改用 {instead}）",
    link_ignored: "{asked}（已忽略）",
    link_and: "，",
  },
};

// t("rows", { n: 1200 }): the scene's word, or else the shell's, with its values in.
export function translator(language, words) {
  const known = { ...shellWords[language], ...words[language] };
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const shown = (value) => (typeof value === "number" ? number.format(value) : value);
  return (key, values = {}) => {
    if (!(key in known)) throw new Error(`no word ${key} in ${language}`);
    return known[key].replaceAll(/\{(\w+)\}/g, (_, name) => shown(values[name]));
  };
}

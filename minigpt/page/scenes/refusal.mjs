// Why a prompt can't be gone on from, in the page's language.

/** count: the prompt's tokens. wanted: new ones. null: it can. */
export function whyRefused(t, count, wanted, context) {
  if (!count) return t("no_prompt");
  const most = context + 1 - wanted; // the last new token is never fed
  return count > most ? t("too_long", { count, tokens: wanted, context, most }) : null;
}

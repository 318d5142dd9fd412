// What the address asks amiss, and what is used instead: one line, as long as it stands there.

const LONG = 40; // letters of a value

/** params: as the address has them. used: what each came to; a name that is not there, or null, asks for nothing known. */
export function misread(t, params, used) {
  const amiss = Object.entries(params).filter(([name, said]) => !Object.hasOwn(used, name) || !meant(said, used[name]));
  const told = amiss.map(([name, said]) => {
    const asked = `${name}=${said.length > LONG ? `${Array.from(said).slice(0, LONG).join("")}…` : said}`;
    const instead = Object.hasOwn(used, name) ? used[name] : null;
    return instead === null ? t("link_ignored", { asked }) : t("link_instead", { asked, instead: String(instead) });
  });
  return told.length ? t("link_amiss", { told: told.join(t("link_and")) }) : "";
}

const meant = (said, used) => said === String(used) || (typeof used === "number" && said !== "" && Number(said) === used);

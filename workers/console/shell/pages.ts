/** The pages: what each is called, what it is for in a sentence, and which scope its token needs. */
export const PAGES = [
  {
    name: "live",
    label: "Live",
    scope: "live",
    purpose: "What is happening right now, within two seconds",
    about: "A wall of tiles over the last minutes, hours and days: visitors, revenue, top pages, funnels.",
  },
  {
    name: "support",
    label: "Support",
    scope: "support",
    purpose: "What one person or one device did, click by click",
    about: "Somebody is on the phone: type their user id, device, e-mail or an event, and see what they saw.",
  },
  {
    name: "sql",
    label: "SQL",
    scope: "sql",
    purpose: "Any question about every event that is kept",
    about: "One SELECT over up to two years: funnels, retention, revenue. The price is shown before it runs.",
  },
  {
    name: "operations",
    label: "Operations",
    scope: "admin",
    purpose: "Whether the pipeline is well, and where it is not",
    about: "Is every accepted event accounted for, how far is each store behind, and what does it cost?",
  },
  {
    name: "quarantine",
    label: "Quarantine",
    scope: "admin",
    purpose: "What broke its contract, and its way back",
    about: "Events that were kept apart, by cause, beside what was agreed: try a fix, then give them back.",
  },
  {
    name: "erasures",
    label: "Erasures",
    scope: "admin",
    purpose: "Who has asked to be forgotten, and how far every store is",
    about: "Ask for people to be erased or kept out, see whom it is about, and keep the receipt.",
  },
] as const;

export type PageName = (typeof PAGES)[number]["name"];
export type PageEntry = (typeof PAGES)[number];

/** @param scopes null while they are not known: then nothing is held back. */
export const mayOpen = ({ scope }: PageEntry, scopes: readonly string[] | null): boolean =>
  scopes === null || scopes.includes(scope);

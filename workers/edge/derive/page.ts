/** The page an event happened on, and the campaign that led there. */
import { type JsonObject, textOf } from "./json.ts";

export interface Page {
  url: string | undefined;
  path: string | undefined;
  host: string | undefined;
  title: string | undefined;
  referrer: string | undefined;
}

const ABSOLUTE = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]*)([^?#]*)/i;

/** @param sources where to look, the most telling first: the properties of a page call, then `context.page`. */
export function readPage(sources: readonly JsonObject[]): Page {
  const page: Page = { url: undefined, path: undefined, host: undefined, title: undefined, referrer: undefined };
  for (const source of sources) {
    page.url ??= textOf(source.url);
    page.path ??= textOf(source.path);
    page.title ??= textOf(source.title);
    page.referrer ??= textOf(source.referrer);
  }
  if (page.url === undefined) return page;
  page.url = withoutFragment(page.url);
  const parts = ABSOLUTE.exec(page.url ?? "");
  if (parts) {
    page.host = parts[1]?.toLowerCase() || undefined;
    page.path ??= parts[2] || "/";
  }
  return page;
}

export function withoutFragment(url: string): string | undefined {
  const hash = url.indexOf("#");
  return hash < 0 ? url : url.slice(0, hash) || undefined;
}

export interface Campaign {
  source: string | undefined;
  medium: string | undefined;
  campaign: string | undefined;
  term: string | undefined;
  content: string | undefined;
}

/** `context.campaign` where the sender has read it already, else the query of the page's URL. */
export function readCampaign(given: JsonObject, url: string | undefined): Campaign {
  const campaign: Campaign = {
    source: textOf(given.source),
    medium: textOf(given.medium),
    campaign: textOf(given.name) ?? textOf(given.campaign),
    term: textOf(given.term),
    content: textOf(given.content),
  };
  const query = url === undefined ? -1 : url.indexOf("?");
  if (url === undefined || query < 0 || !url.includes("utm_", query)) return campaign;
  const parameters = new URLSearchParams(url.slice(query + 1));
  for (const key of ["source", "medium", "campaign", "term", "content"] as const) {
    campaign[key] ??= parameters.get(`utm_${key}`) || undefined;
  }
  return campaign;
}

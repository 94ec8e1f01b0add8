/** Browser, system and kind of device from a user agent. Parsing takes some 20 µs, so answers are kept by text. */
import { isbot } from "isbot";
import UAParser from "ua-parser-js";

export interface Device {
  readonly browser: string | undefined;
  readonly browserVersion: string | undefined;
  readonly os: string | undefined;
  readonly osVersion: string | undefined;
  readonly deviceType: string | undefined;
  readonly bot: boolean;
}

const UNKNOWN: Device = {
  browser: undefined,
  browserVersion: undefined,
  os: undefined,
  osVersion: undefined,
  deviceType: undefined,
  bot: false,
};

/** A real one has at most some 400 characters; longer ones are made to cost time. */
const CHARS_READ = 512;
/** Entries in each of two generations: about 2 MB at most. */
const GENERATION = 1_000;

let young = new Map<string, Device>();
let old = new Map<string, Device>();

export function readUserAgent(text: string | undefined): Device {
  if (text === undefined) return UNKNOWN;
  // Not kept: it would hold on to its text, and no honest sender has one.
  if (text.length > CHARS_READ) return parse(text.slice(0, CHARS_READ));
  const known = young.get(text);
  if (known) return known;
  const device = old.get(text) ?? parse(text);
  // Two generations instead of a list in order of use: a hit in the young one, the common case, writes nothing.
  if (young.size >= GENERATION) {
    old = young;
    young = new Map();
  }
  young.set(text, device);
  return device;
}

const DEVICE_TYPES: Readonly<Record<string, string>> = { mobile: "mobile", tablet: "tablet", smarttv: "tv" };

function parse(text: string): Device {
  const parser = new UAParser(text);
  const browser = parser.getBrowser();
  const os = parser.getOS();
  const type = parser.getDevice().type;
  const bot = isbot(text);
  let deviceType: string | undefined;
  if (bot) deviceType = "bot";
  else if (type !== undefined) deviceType = DEVICE_TYPES[type] ?? "other";
  else if (os.name !== undefined) deviceType = "desktop";
  else deviceType = "other";
  return {
    browser: browser.name,
    browserVersion: browser.version,
    os: os.name,
    osVersion: os.version,
    deviceType,
    bot,
  };
}

/**
 * Whether the request's own User-Agent header tells of the visitor: browsers and crawlers do. `okhttp`,
 * `python-requests` or `analytics-node` only name the program that carries the events of others.
 */
export const isVisitor = (header: string): boolean => /^(Mozilla|Opera)\/|bot|crawl|spider/i.test(header);

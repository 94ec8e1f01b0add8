/** Numbers and times as people read them, in the browser's language and time zone. */

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

export const formatCount = (value: number): string => whole.format(value);
/** `1 file`, `1,204 files`. */
export const formatCounted = (value: number, one: string): string =>
  `${formatCount(value)} ${one}${value === 1 ? "" : "s"}`;
/** Exact up to six digits, then 1.2M. */
export const formatShort = (value: number): string =>
  Math.abs(value) < 1e6 ? whole.format(value) : short.format(value);

/** Whole percents; what is there is never 0%. */
export const formatShare = (share: number): string =>
  share > 0 && share < 0.005 ? "<1%" : `${Math.round(100 * share)}%`;

export function formatRate(perSecond: number): string {
  const digits = perSecond >= 100 ? 0 : 1;
  return new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(
    perSecond,
  );
}

/** `currency` as the sender gave it, so perhaps none that the browser knows. */
export function formatMoney(value: number, currency: string): string {
  const digits = Math.abs(value) >= 10_000 ? 0 : 2;
  const fraction = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  try {
    return new Intl.NumberFormat(undefined, { style: "currency", currency, ...fraction }).format(value);
  } catch {
    return `${new Intl.NumberFormat(undefined, fraction).format(value)} ${currency}`.trim();
  }
}

export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** 12 s, 3 min, 1 h 20 min, 4 d. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} d`;
}

const minuteFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const secondFormat = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});
const dayFormat = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
});

export const formatMinute = (ms: number): string => minuteFormat.format(ms);
export const formatClock = (ms: number): string => secondFormat.format(ms);
export const formatDay = (ms: number): string => dayFormat.format(ms);
/** With the day unless it is today. */
export function formatWhen(ms: number, now: number): string {
  return formatDay(ms) === formatDay(now) ? formatClock(ms) : `${formatDay(ms)}, ${formatClock(ms)}`;
}

let regions: Intl.DisplayNames | undefined;
/** The country's name; the code itself where there is none. */
export function countryName(code: string): string {
  try {
    regions ??= new Intl.DisplayNames(undefined, { type: "region" });
    return regions.of(code) ?? code;
  } catch {
    return code;
  }
}

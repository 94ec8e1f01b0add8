/** What a text tells about a person, by its form alone. Pure; each expression is bounded, so that no text takes long. */
import { PII } from "../../r2-layout/limits.ts";

export const PII_KINDS = ["email", "phone", "card_number", "token", "email_in_url", "token_in_url"] as const;
export type PiiKind = (typeof PII_KINDS)[number];

/** @param field the name of the member that the text stands in: a number alone is a phone number where it says so. */
export function piiIn(value: string | number, field = ""): PiiKind[] {
  if (typeof value === "number") return Number.isSafeInteger(value) && isCard(String(value)) ? ["card_number"] : [];
  const text = value.slice(0, PII.auditTextChars);
  if (!/[@\d]|eyJ|%40|=/.test(text)) return [];
  const found: PiiKind[] = [];
  const isUrl = /^[a-z][a-z0-9+.-]{0,20}:\/\//i.test(text) || /^[/?#]/.test(text);
  const plain = isUrl ? decoded(text) : text;
  // `ada:lovelace@shop.example` is nobody's address, but a password.
  if (holdsEmail(isUrl ? plain.replace(CREDENTIALS, "") : plain)) found.push(isUrl ? "email_in_url" : "email");
  if (isUrl ? holdsTokenInUrl(plain) : JWT.test(text)) found.push(isUrl ? "token_in_url" : "token");
  if (holdsCard(plain)) found.push("card_number");
  if (!isUrl && holdsPhone(text, field)) found.push("phone");
  return found;
}

const EMAIL = /[a-z0-9._%+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}([a-z]{2,24})(?![a-z0-9])/gi;
/** `logo@2x.png` is no address. */
const FILES = /^(png|jpe?g|gif|webp|svg|avif|js|css|ts|map)$/i;

const holdsEmail = (text: string): boolean =>
  text.includes("@") && [...text.matchAll(EMAIL)].some(([, ending]) => !FILES.test(ending!));

const CREDENTIALS = /^[a-z][a-z0-9+.-]{0,20}:\/\/[^/?#@\s:]{1,100}:[^/?#@\s]{1,100}@/i;
const JWT = /\beyJ[\w-]{8,2000}\.eyJ[\w-]{8,2000}\.[\w-]{8,}/;
const PARAMETER = /[?&#;]([\w.[\]-]{1,64})=([^&#;\s]{1,2000})/g;
const TOKEN_NAME =
  /^(.*[_.-])?(token|auth|authorization|api_?key|apikey|secret|password|passwd|pwd|session_?id|sid|signature|sig|otp|jwt|code)$/i;
/** A shorter one is a flag or a count. */
const TOKEN_CHARS = 6;

function holdsTokenInUrl(url: string): boolean {
  if (CREDENTIALS.test(url) || JWT.test(url)) return true;
  return [...url.matchAll(PARAMETER)].some(([, name, value]) => TOKEN_NAME.test(name!) && value!.length >= TOKEN_CHARS);
}

/** What a text that is half escaped says is still worth reading. */
function decoded(url: string): string {
  return url.replace(/(%[0-9a-f]{2}){1,100}/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes;
    }
  });
}

const DIGITS = /(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w-])/g;
const holdsCard = (text: string): boolean => [...text.matchAll(DIGITS)].some(([run]) => isCard(run.replace(/\D/g, "")));

/** Prefixes and lengths of the large networks; a number of another kind passes the check digit once in ten. */
const ISSUERS =
  /^(4(\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(0[0-5]|[689]\d)\d{11}|35\d{14}|6(011|5\d\d|4[4-9]\d)\d{12,15})$/;

function isCard(digits: string): boolean {
  if (!ISSUERS.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    sum += i % 2 === 0 ? digit : digit < 5 ? 2 * digit : 2 * digit - 9;
  }
  return sum % 10 === 0;
}

const INTERNATIONAL = /(?<![\w+.:-])\+[1-9](?:[ ().-]{0,2}\d){7,14}(?!\w)/;
const PHONE_FIELD = /phone|mobile|msisdn|^(tel|cell)$/i;

const holdsPhone = (text: string, field: string): boolean =>
  INTERNATIONAL.test(text) || (PHONE_FIELD.test(field) && /^[\d ().+/-]{7,24}$/.test(text) && digitsOf(text) >= 7);

const digitsOf = (text: string): number => text.replace(/\D/g, "").length;

/** E-mail addresses as people mean them. */
import { EMAIL_INDEX } from "./limits.ts";

/** As people mean it: case and outer spaces do not tell addresses apart. Null where it is none. */
export function normalizeEmail(text: unknown): string | null {
  if (typeof text !== "string" || text.length > EMAIL_INDEX.addressChars) return null;
  const email = text.trim().toLowerCase();
  return /^[^\s@]+@[^\s@]+$/.test(email) ? email.toWellFormed() : null;
}

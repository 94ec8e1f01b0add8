/** The address that an event says a subject has: the trait `email` of an identify call. */

import { normalizeEmail } from "../../r2-layout/email.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";

export const emailOf = (event: EventRow): string | null =>
  event.event_type === "identify" ? normalizeEmail(event.properties?.email) : null;

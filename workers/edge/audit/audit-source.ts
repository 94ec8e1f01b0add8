/** Of the audit trail's events (audit-trail.ts). No write key may belong to it. */
export const AUDIT_SOURCE = "eventpile.audit";

/** A refusal as RFC 9457 has it, with the headers that its members ask for: one shape for every Worker's own table. */
export interface ProblemMembers {
  readonly reason: string;
  readonly retry_after_s?: number;
  readonly allow?: string;
}

export function problemDocument(
  { status, title }: { readonly status: number; readonly title: string },
  members: ProblemMembers,
): Response {
  const headers = new Headers({ "content-type": "application/problem+json", "cache-control": "no-store" });
  if (members.retry_after_s !== undefined) headers.set("retry-after", String(members.retry_after_s));
  if (members.allow !== undefined) headers.set("allow", members.allow);
  const document = { type: `urn:eventpile:problem:${members.reason}`, title, status, ...members };
  return new Response(JSON.stringify(document), { status, headers });
}

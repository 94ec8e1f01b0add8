import { expect, it } from "vitest";
import { eventTicket, glanceTicket } from "../../../../workers/console/support/ticket.ts";
import { event } from "./events.ts";

const context = {
  subject: { kind: "user", id: "ada" },
  email: "ada@example.org",
  link: "https://e.example/support?user=ada",
} as const;
const failed = event(0, {
  event_id: "the-id",
  event_type: "track",
  event_name: "Payment Failed",
  user_id: "ada",
  app_version: "2.1",
  properties: { order_id: "o-7", reason: "card" },
});
const events = [
  failed,
  event(1, { page_path: "/pay", user_id: "ada" }),
  event(2, { page_path: "/cart" }),
  event(90, { page_path: "/yesterday", user_id: "ada" }),
];

it("an event goes into a ticket with its properties, what led to it in its session, and where to see it", () => {
  expect(eventTicket(failed, events, context)).toBe(
    [
      "User ada (ada@example.org)",
      "Payment Failed at 2026-11-22 05:00:00.000 UTC",
      "  order_id: o-7",
      "  reason: card",
      "  event_id: the-id",
      "  source: web",
      "  app_version: 2.1",
      "",
      "Before it, in the same session:",
      "-  2026-11-22 04:58:00.000 UTC  page  /cart  (not signed in)",
      "-  2026-11-22 04:59:00.000 UTC  page  /pay",
      "",
      "https://e.example/support?user=ada",
    ].join("\n"),
  );
});

it("a glance is the newest events in the order in which they happened", () => {
  const many = Array.from({ length: 30 }, (_, i) => event(i, { page_path: `/${i}`, user_id: "ada" }));
  const lines = glanceTicket(many, { ...context, email: undefined }).split("\n");
  expect([lines[0], lines[1], lines[20], lines.length]).toEqual([
    "User ada",
    "-  2026-11-22 04:41:00.000 UTC  page  /19",
    "-  2026-11-22 05:00:00.000 UTC  page  /0",
    23,
  ]);
});

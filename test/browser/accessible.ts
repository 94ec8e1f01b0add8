/** What axe finds in a page: for those who cannot see it, hear it, or point at it. */
import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "playwright-core";
import { expect } from "vitest";

const GRAVE = new Set(["serious", "critical"]);

/** The page as it is now, in its colours of now. Fails with each grave finding and the elements that it is about. */
export async function expectAccessible(page: Page, where = new URL(page.url()).pathname): Promise<void> {
  const { violations, passes } = await new AxeBuilder({ page }).analyze();
  const found = violations
    .filter(({ impact }) => GRAVE.has(impact ?? ""))
    .map(({ id, help, nodes }) => ({
      where,
      id,
      help,
      elements: nodes.slice(0, 5).map(({ html, failureSummary }) => ({ html: html.slice(0, 200), failureSummary })),
    }));
  expect(found).toEqual([]);
  // A page that was not there yet would have passed everything.
  expect(passes.length).toBeGreaterThan(5);
}

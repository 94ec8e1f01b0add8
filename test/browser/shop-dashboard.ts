/** The demo's dashboard over a seeded shop, with its past filled in. */
import { keepShopDashboard } from "../../scripts/demo/dashboard.ts";
import type { Definition } from "../../workers/console/live/definitions.ts";
import { ORIGIN_HEADERS, type RunningSystem, until } from "../system/harness.ts";

export async function shopDashboard(system: RunningSystem): Promise<void> {
  await keepShopDashboard(async (method, path, body) => {
    const init = { method, headers: ORIGIN_HEADERS.read, body: body === undefined ? null : JSON.stringify(body) };
    const response = await fetch(system.url + path, init);
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
    return response.json();
  });
  await until("the past of the tiles", 60_000, async () => {
    const { definitions } = await system.read<{ definitions: Definition[] }>("/v1/rollup-definitions");
    return definitions.every(({ state }) => state === "ready");
  });
}

/** What the edge tells of erasures, and what it is asked. Identifiers travel in bodies, never in an address. */
import type { Result } from "../../../r2-layout/result.ts";
import type { ErasureJson, ErasurePreviewJson } from "../../erasure-json.ts";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";
import { LIST_NAMES, LISTS, type ListName } from "./identifiers.ts";

export type Mode = ErasureJson["mode"];
export type Link = NonNullable<ErasurePreviewJson["closure"]>["links"][number];

export const pathOf = (id: string): string => `/v1/erasures/${id}`;

const send = <T>(method: "POST" | "DELETE", path: string, body?: unknown): Promise<Result<T, Problem>> =>
  request<T>(path, {
    method,
    ...(body !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });

export const ask = (lists: Readonly<Record<ListName, readonly string[]>>, mode: Mode) =>
  send<ErasurePreviewJson>("POST", "/v1/erasures", { ...lists, mode });

export const resume = (id: string) => send<ErasureJson>("POST", `${pathOf(id)}/resume`, {});
export const withdraw = (id: string) => send<ErasureJson>("DELETE", pathOf(id));

export const linkKey = ({ kind, id }: Pick<Link, "kind" | "id">): string => `${kind}\n${id}`;

/** @param taken links that are to go with those that were asked for; the others stay */
export function confirm(id: string, links: readonly Link[], taken: ReadonlySet<string>) {
  const listed = (some: readonly Link[]) =>
    Object.fromEntries(
      LIST_NAMES.map((name) => [name, some.filter(({ kind }) => kind === LISTS[name].kind).map((link) => link.id)]),
    );
  const exclude = listed(links.filter((link) => !link.shared && !taken.has(linkKey(link))));
  const include = listed(links.filter((link) => link.shared && taken.has(linkKey(link))));
  return send<ErasureJson>("POST", `${pathOf(id)}/confirm`, { exclude, include });
}

const STATES: Readonly<Record<string, string>> = {
  preview: "waits for its confirmation",
  running: "under way",
  done: "done",
  cancelling: "being withdrawn",
  cancelled: "withdrawn",
  failed: "has given up; it can be resumed",
};

export const stateText = ({ state, overdue }: ErasureJson): string =>
  `${STATES[state] ?? state}${overdue ? ", overdue" : ""}`;

export const isOpen = ({ state }: ErasureJson): boolean => !["done", "cancelled", "abandoned"].includes(state);

/** What the query Worker of the `edge` project answers to a correction's preview: two rows, or as a country asks. */
export const PREVIEWED = {
  event_id: "e1",
  event_name: "page",
  source: "shop",
  event_time: "2026-11-22T05:00:00.000001Z",
  anonymous_id: "wrong",
  properties: { plan: "free" },
};

/** Null for what is no preview. */
export function answerPreview(body: string): Response | null {
  const sql = (JSON.parse(body) as { sql?: unknown }).sql;
  if (typeof sql !== "string" || !/^select (count\(\*\)|\*) from events where /.test(sql)) return null;
  if (sql.includes("'refused'")) {
    return Response.json({ reason: "too_much_data", title: "Too much", detail: "narrow event_time" }, { status: 422 });
  }
  if (sql.includes("'down'")) return Response.json({ title: "Away" }, { status: 503 });
  const stats = { snapshot: 7 };
  if (sql.startsWith("select count(*)")) {
    return Response.json({ columns: [{ name: "n" }], rows: [[sql.includes("'nowhere'") ? 0 : 2]], stats });
  }
  return Response.json({
    columns: Object.keys(PREVIEWED).map((name) => ({ name })),
    rows: [Object.values(PREVIEWED), Object.values({ ...PREVIEWED, event_id: "e2", properties: null })],
    stats,
  });
}

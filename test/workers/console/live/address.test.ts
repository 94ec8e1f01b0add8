import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Address, readAddress, writeAddress } from "../../../../workers/console/live/address.ts";
import { withoutTile, withTile, withTileMoved } from "../../../../workers/console/live/edit.ts";
import { parseFilterText } from "../../../../workers/console/live/filter-text.ts";
import { OVERVIEW } from "../../../../workers/console/live/overview.ts";
import { NEW_ROLLUP, requestOfDraft } from "../../../../workers/console/live/rollup-draft.ts";

const values = fc.array(fc.string({ minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 3 });
const addresses: fc.Arbitrary<Address> = fc.record({
  dashboard: fc.constantFrom("overview", "shop-wall"),
  span: fc.constantFrom("60m", "24h", "30d", null),
  filter: fc.option(fc.record({ event_name: values, country: values, source: values }, { requiredKeys: [] })),
  wall: fc.boolean(),
});

describe("an address", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(addresses, (address) => {
        expect(readAddress(writeAddress(address))).toEqual(address);
      }),
      { examples: [[{ dashboard: "shop", span: null, filter: {}, wall: true }]] },
    );
  });

  it("without anything is the overview as it was saved, and what is not known changes nothing", () => {
    const plain = { dashboard: "overview", span: null, filter: null, wall: false };
    expect(writeAddress(plain)).toBe("");
    for (const search of ["", "?span=7d&wall=yes&country=&other=1"]) expect(readAddress(search)).toEqual(plain);
  });
});

describe("tiles of a dashboard that is edited", () => {
  const ids = (dashboard: typeof OVERVIEW) => dashboard.tiles.map(({ id }) => id).join(" ");
  const [first, second] = OVERVIEW.tiles;

  it("move by one place and stay at the ends", () => {
    expect(ids(withTileMoved(OVERVIEW, first!.id, 1))).toBe(
      ids(OVERVIEW).replace(`${first!.id} ${second!.id}`, `${second!.id} ${first!.id}`),
    );
    expect(withTileMoved(OVERVIEW, first!.id, -1)).toBe(OVERVIEW);
    expect(withTileMoved(OVERVIEW, OVERVIEW.tiles.at(-1)!.id, 1)).toBe(OVERVIEW);
  });

  it("are added behind, changed in their place, and removed", () => {
    expect(ids(withTile(OVERVIEW, { ...first!, id: "new" }))).toBe(`${ids(OVERVIEW)} new`);
    expect(withTile(OVERVIEW, { ...first!, title: "Other" }).tiles[0]!.title).toBe("Other");
    expect(ids(withoutTile(OVERVIEW, first!.id))).toBe(ids(OVERVIEW).replace(`${first!.id} `, ""));
  });
});

describe("a filter as it is typed", () => {
  it("has a line for each column, values with commas between", () => {
    expect(parseFilterText(" country = DE, AT,\n\nproperties.plan=pro ")).toEqual({
      ok: true,
      value: { country: ["DE", "AT"], "properties.plan": ["pro"] },
    });
    expect(parseFilterText("")).toEqual({ ok: true, value: {} });
  });

  it.each(["country", "country =", "= DE", "country = ,"])("%j is told to be none", (text) => {
    expect(parseFilterText(text)).toMatchObject({ ok: false });
  });
});

describe("what is to be counted", () => {
  it("has what its measure takes, and no more", () => {
    const draft = {
      ...NEW_ROLLUP,
      name: " A ",
      field: "properties.total",
      by: ["country", ""] as const,
      steps: "a\n b \n",
    };
    const common = { name: "A", grain_minutes: 1, filter: {} };
    const asked = (measure: (typeof NEW_ROLLUP)["measure"]) => requestOfDraft({ ...draft, measure });
    expect(asked("count")).toEqual({ ok: true, value: { ...common, measure: "count", by: ["country"] } });
    expect(asked("sum")).toMatchObject({ value: { measure: "sum", property: "total", by: ["country"] } });
    expect(asked("ratio")).toMatchObject({ value: { numerator: {}, denominator: {} } });
    expect(asked("funnel")).toEqual({ ok: true, value: { ...common, measure: "funnel", steps: ["a", "b"] } });
  });

  it("says what it lacks", () => {
    expect(requestOfDraft(NEW_ROLLUP)).toEqual({ ok: false, error: "It needs a name" });
    expect(requestOfDraft({ ...NEW_ROLLUP, name: "a", measure: "sum" })).toMatchObject({ ok: false });
    expect(requestOfDraft({ ...NEW_ROLLUP, name: "a", filter: "x" })).toMatchObject({ ok: false });
  });
});

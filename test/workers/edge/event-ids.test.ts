import { expect, it } from "vitest";
import { minting } from "../../../workers/edge/event-ids.ts";
import { facts } from "./facts.ts";

it("a body is looked through for a time once, however many ids are minted from it (promise 9)", () => {
  for (const hasTime of [true, false]) {
    let looked = 0;
    const mint = minting(
      facts(),
      new Uint8Array(1),
      () => {
        looked++;
        return hasTime;
      },
      () => "0".repeat(32),
    );
    for (let i = 0; i < 10; i++) mint(i);
    expect(looked).toBe(1);
  }
});

/**
 * DuckDB's clocks, as places where a statement can be interrupted. Its profiler asks for the time of day before and after
 * each operator's work on a chunk of 2,048 rows: thousands of times a second. Its scheduler asks the steady clock around
 * each task of 50 chunks, sorting and merging among them. A task may be a cross product of billions of rows.
 */
import gateModule from "./clock-gate.wasm?module";

/** Asked now and then while a statement runs; may wait, and may throw to end the statement. */
export type Turn = () => void | Promise<void>;

interface Gate {
  readonly now: WebAssembly.ImportValue;
  readonly every: WebAssembly.Global;
  readonly left: WebAssembly.Global;
}

export class Clock {
  /** How often DuckDB came by while it could be interrupted, in this isolate. */
  static ticks = 0;
  readonly #gates: { readonly gate: Gate; readonly callsPerTick: number }[] = [];
  #turn: Turn | null = null;

  /** Null while wasm may not be suspended. */
  get turn(): Turn | null {
    return this.#turn;
  }

  set turn(turn: Turn | null) {
    this.#turn = turn;
    for (const { gate, callsPerTick } of this.#gates) {
      gate.left.value = 0;
      gate.every.value = turn ? callsPerTick : 0;
    }
  }

  /** @returns what to import in place of the host's clock. */
  gate(now: () => number, callsPerTick: number): WebAssembly.ImportValue {
    const tick = new WebAssembly.Suspending(() => {
      Clock.ticks++;
      return this.#turn?.()?.then(now) ?? now();
    }) as unknown as WebAssembly.ImportValue;
    const gate = new WebAssembly.Instance(gateModule, { clock: { tick, now } }).exports as unknown as Gate;
    this.#gates.push({ gate, callsPerTick });
    return gate.now;
  }
}

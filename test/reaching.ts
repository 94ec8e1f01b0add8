/** For properties over random draws that are to prove that they could have failed. */

/** What the draws are to reach, by its name, and whether they have. */
export type Reached = Readonly<Record<string, boolean>>;

/**
 * Runs a property, and runs it again with fresh draws as long as something that it is to reach was reached in no run of it.
 *
 * A property over faults says nothing where no fault fired, so its test asks for that afterwards. But what is drawn is random, and
 * now and then all of it misses: a test that fails then says that something is wrong where nothing is. To draw more in every run, or
 * the same in each, would cost time or the very reason to draw. So the rare miss is drawn again. What cannot be reached still fails
 * the test: the same miss so often in a row is no chance.
 *
 * @param property its counts begin at zero with each run, so that a threshold means what it says. What it throws ends the test at once.
 * @param runsMax fewer, where a run takes seconds and rarely misses
 * @throws Error that names what was never reached
 */
export async function reaching(property: () => Reached | Promise<Reached>, runsMax = 25): Promise<void> {
  const reached = new Set<string>();
  let missed: string[] = [];
  for (let run = 0; run < runsMax; run++) {
    const found = Object.entries(await property());
    for (const [what, isReached] of found) if (isReached) reached.add(what);
    missed = found.map(([what]) => what).filter((what) => !reached.has(what));
    if (missed.length === 0) return;
  }
  throw new Error(`never reached in ${runsMax} runs of the property: ${missed.join(", ")}`);
}

/**
 * `t AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin'` is how a time without zone, meant as UTC, becomes that zone's own.
 * Between the two stands a TIMESTAMPTZ, of which this engine knows nothing, and a function has one type of answer: so two
 * in a row become one, of both names.
 */

const CHAIN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\bat\s+time\s+zone\s+'([\w+\-/]+)'\s+at\s+time\s+zone\s+'([\w+\-/]+)'/gi;

/** @param sql plain text: no comments, no other quotes. */
export const joinZones = (sql: string): string =>
  sql.replaceAll(CHAIN, (all, from?: string, to?: string) =>
    from === undefined || to === undefined ? all : `AT TIME ZONE '${from}>${to}'`,
  );

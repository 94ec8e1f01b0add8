/**
 * Some users to try the page with, for whoever has just started a local run and knows nobody in it. Not elsewhere: it is a
 * statement over the lake, and a token for support may not ask one.
 */
import { useEffect, useState } from "preact/hooks";
import { request } from "../shell/api.ts";
import { isLocal } from "../shell/token.ts";

const SHOWN = 5;
const MINUTES = 15;
const RETRY_MS = 5_000;
const RETRIES = 12;

export function useRecentUsers(): readonly string[] {
  const [users, setUsers] = useState<readonly string[]>([]);
  useEffect(() => {
    if (!isLocal) return;
    let timer: ReturnType<typeof setTimeout>;
    const ask = async (attemptsLeft: number) => {
      const answer = await recentUsers();
      if (answer.length > 0) setUsers(answer);
      // A run that has just begun: its first visitors sign in within a minute.
      else if (attemptsLeft > 0) timer = setTimeout(() => void ask(attemptsLeft - 1), RETRY_MS);
    };
    void ask(RETRIES);
    return () => clearTimeout(timer);
  }, []);
  return users;
}

/** None where the token may not ask. */
async function recentUsers(): Promise<string[]> {
  const params = { since: new Date(Date.now() - MINUTES * 60_000).toISOString() };
  const sql = `select user_id from events where event_time >= $since and user_id is not null
    group by user_id order by max(event_time) desc limit ${SHOWN}`;
  const body = JSON.stringify({ sql, params, format: "json" });
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body };
  const answer = await request<{ rows: string[][] }>("/v1/sql", init);
  return answer.ok ? answer.value.rows.map(([id]) => id!) : [];
}

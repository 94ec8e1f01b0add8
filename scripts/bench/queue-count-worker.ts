/** Consumes a queue and counts: messages, events by their headers, running numbers seen, and one body to look at. */
const counted = { messages: 0, events: 0, numbers: 0, newest: 0, sample: "" };

export default {
  queue(batch: MessageBatch<string>): void {
    for (const { body } of batch.messages) {
      counted.messages++;
      counted.sample = body;
      const events = /^\{"v":1,.*?"n":(\d+),.*?"events":(\d+),/.exec(body);
      if (!events) continue;
      counted.numbers += Number(events[1]);
      counted.newest = Math.max(counted.newest, Number(events[1]));
      counted.events += Number(events[2]);
    }
  },
  fetch: () => Response.json(counted),
};

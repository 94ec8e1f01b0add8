/** The least that taking events can cost: read, parse, one message, answer. */
export default {
  async fetch(request: Request, env: { EVENTS_0: Queue<string> }): Promise<Response> {
    const text = await request.text();
    const { batch } = JSON.parse(text) as { batch: unknown[] };
    await env.EVENTS_0.send(text, { contentType: "text" });
    return Response.json({ success: true, accepted: batch.length });
  },
};

/** The edge Worker. */
export default { fetch: () => new Response("eventpile\n") } satisfies ExportedHandler;

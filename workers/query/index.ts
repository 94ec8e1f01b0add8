/** The query Worker. */
export default { fetch: () => new Response("eventpile query\n") } satisfies ExportedHandler;

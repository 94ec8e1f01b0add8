/** The pipeline Worker: hands each queue's batches to its stage, and pokes on schedule. */
export default {
  async queue() {},
  async scheduled() {},
} satisfies ExportedHandler;

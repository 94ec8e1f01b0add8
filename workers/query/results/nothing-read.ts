/** The figures of an answer for which no engine of ours ran and no file was read. */
export const NOTHING_READ = {
  engine_ms: 0,
  wait_ms: 0,
  boot_ms: 0,
  cold: false,
  files: 0,
  table_files: 0,
  bytes_read: 0,
  bytes_needed: 0,
  requests: 0,
  waves: 0,
  fallback_reads: 0,
  heap_bytes: 0,
  page_bytes: 0,
} as const;

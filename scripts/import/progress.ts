/** How far an import has come: a bar on a terminal, a line now and then elsewhere. */
export class Progress {
  readonly #totalBytes: number;
  readonly #startedAt = performance.now();
  readonly #out: NodeJS.WriteStream;
  #bytes = 0;
  #lines = 0;
  #sent = 0;
  #drawnAt = 0;

  constructor(totalBytes: number, out: NodeJS.WriteStream = process.stderr) {
    this.#totalBytes = totalBytes;
    this.#out = out;
  }

  read(bytes: number): void {
    this.#bytes += bytes;
    this.#draw();
  }

  line(): void {
    this.#lines++;
  }

  sent(events: number): void {
    this.#sent += events;
    this.#draw();
  }

  done(): void {
    this.#draw(true);
    if (this.#out.isTTY) this.#out.write("\n");
  }

  #draw(always = false): void {
    const now = performance.now();
    if (!always && now - this.#drawnAt < (this.#out.isTTY ? 100 : 5_000)) return;
    this.#drawnAt = now;
    const seconds = (now - this.#startedAt) / 1_000;
    // The file is read ahead of the sending: what is sent, of what was read, of what there is.
    const read = this.#totalBytes === 0 ? 1 : Math.min(1, this.#bytes / this.#totalBytes);
    const share = this.#lines === 0 ? 0 : read * (this.#sent / this.#lines);
    const width = 30;
    const full = Math.round(width * share);
    const bar = `[${"=".repeat(full)}${" ".repeat(width - full)}]`;
    const text = `${bar} ${Math.floor(share * 100)}%  ${number(this.#sent)} events  ${number(this.#sent / seconds)}/s`;
    this.#out.write(this.#out.isTTY ? `\r${text}\x1b[K` : `${text}\n`);
  }
}

const number = (value: number) => Math.round(value).toLocaleString("en-US");

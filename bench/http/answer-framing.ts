/** Counts the answers of one connection by their framing, and looks at nothing else. */
export class AnswerFraming {
  /** Of bodies so far, chunk by chunk and read by read. */
  bytes = 0;
  /** What is passed over now, or the text that is being read. */
  #phase: 'head' | 'body' | 'size' | 'chunk' | 'end' = 'head';
  #left = 0;
  #text = '';

  /** How many answers end in what has come. @throws Error for one that is not 200, or has neither a length nor chunks */
  push(chunk: Buffer): number {
    let answers = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
        if (this.#phase === 'body') this.bytes += taken;
      } else at = this.#readLines(chunk, at);
      if (this.#left > 0) continue;
      if (this.#phase === 'chunk') this.#phase = 'size';
      else if (this.#phase === 'body' || this.#phase === 'end') {
        this.#phase = 'head';
        answers++;
      }
    }
    return answers;
  }

  /** Returns where what it has read ends. */
  #readLines(chunk: Buffer, at: number): number {
    const end = this.#phase === 'head' ? '\r\n\r\n' : '\r\n';
    const before = this.#text.length;
    this.#text += chunk.toString('latin1', at, Math.min(chunk.length, at + HEAD_BYTES_MAX));
    const found = this.#text.indexOf(end);
    if (found < 0 && this.#text.length > HEAD_BYTES_MAX) throw new Error('an answer without an end of its head');
    if (found < 0) return chunk.length;
    const lines = this.#text.slice(0, found);
    this.#text = '';
    if (this.#phase === 'head') this.#begin(lines);
    else {
      const bytes = Number.parseInt(lines, 16);
      this.bytes += bytes;
      this.#phase = bytes === 0 ? 'end' : 'chunk';
      this.#left = bytes + LINE_END_BYTES;
    }
    return at + found + end.length - before;
  }

  #begin(head: string) {
    if (!head.startsWith('HTTP/1.1 200 ')) throw new Error(`an answer that is none: ${head}`);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    if (length === undefined && !/\r\ntransfer-encoding: chunked/i.test(head))
      throw new Error(`an answer without a length: ${head}`);
    this.#phase = length === undefined ? 'size' : 'body';
    this.#left = Number(length ?? 0);
  }
}

/** Far more than any head here. */
const HEAD_BYTES_MAX = 16 * 1024;
const LINE_END_BYTES = 2;

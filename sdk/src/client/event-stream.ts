/** One server-sent event; comments and the time to wait are left out. */
export interface ServerSentEvent {
  readonly id: string;
  /** Undefined: an id alone, which says how far it was told. */
  readonly data: string | undefined;
}

/** Reads events as a server sends them, in whatever pieces they come. One that is cut off by the end is none. @see HTML Living Standard §9.2.6 */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let id = '';
  let data: string[] = [];
  let isNamed = false;
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > LINE_CHARS_MAX)
      throw new Error(`a line of the event stream has more than ${LINE_CHARS_MAX} characters`);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { id, data: data.join('\n') };
        else if (isNamed) yield { id, data: undefined };
        data = [];
        isNamed = false;
      } else if (line.startsWith('id: ')) {
        id = line.slice(4);
        isNamed = true;
      } else if (line.startsWith('data: ')) data.push(line.slice(6));
    }
  }
}

const LINE_CHARS_MAX = 16 * 1024 * 1024;

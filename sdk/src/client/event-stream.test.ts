import { describe, expect, it } from 'vitest';
import { readEvents, type ServerSentEvent } from './event-stream.ts';

// Goal: events come out as they were sent, however the stream was cut.

const TEXT =
  'retry: 2000\n\n: \n\nid: a1\nevent: x\ndata: {"a":"é"}\n\nid: a2\ndata: {\ndata: }\n\nid: a3\ndata: cut off';

async function read(chunks: readonly Buffer[]) {
  async function* given() {
    yield* chunks;
  }
  const events: ServerSentEvent[] = [];
  for await (const event of readEvents(given())) events.push(event);
  return events;
}

describe('a stream of events', () => {
  const expected = [
    { id: 'a1', data: '{"a":"é"}' },
    { id: 'a2', data: '{\n}' },
  ];

  it('is read whole, and what was cut off by its end is no event', async () => {
    expect(await read([Buffer.from(TEXT)])).toEqual(expected);
  });

  it.each([1, 2, 3, 7])('is the same in pieces of %i bytes', async (size) => {
    const bytes = Buffer.from(TEXT);
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
      bytes.subarray(n * size, (n + 1) * size),
    );
    expect(await read(chunks)).toEqual(expected);
  });

  it('says by an id alone how far it was told', async () => {
    expect(await read([Buffer.from('id: a0\n\n: \n\nid: a1\ndata: 1\n\n')])).toEqual([
      { id: 'a0', data: undefined },
      { id: 'a1', data: '1' },
    ]);
  });

  it('without an end to its line is given up', async () => {
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    await expect(read(Array(17).fill(chunk))).rejects.toThrow('a line of the event stream');
  });
});

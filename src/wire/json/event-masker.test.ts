import { describe, expect, it } from 'vitest';
import { createJsonMasker, JsonError, type JsonMask } from './index.ts';

// Goal: an event's data are masked for every reader of event streams, conforming or not, and what is no JSON is not shown.

const none: JsonMask = () => -1;

function shown(text: string | Buffer, limits = {}): string {
  const bytes = Buffer.from(text);
  const [whole, cut] = [bytes.length, 1].map((step) => {
    const masker = createJsonMasker({ rules: [{ path: ['a'], mask: none }], format: 'sse', limits });
    const pieces: Buffer[] = [];
    try {
      for (let at = 0; at < bytes.length; at += step) pieces.push(...masker.push(bytes.subarray(at, at + step)));
      pieces.push(...masker.end());
    } catch (error) {
      if (error instanceof JsonError) return error.code;
      throw error;
    }
    return Buffer.concat(pieces).toString();
  });
  expect(cut).toBe(whole);
  return whole ?? '';
}

describe('an event', () => {
  it.each([
    ['is masked', 'data: {"a":1,"b":2}\n\n', 'data: {"a":null,"b":2}\n\n'],
    ['needs no blank behind the colon', 'data:{"a":1}\n\n', 'data: {"a":null}\n\n'],
    ['loses one blank only', 'data:  [ 1 ]\n\n', 'data:  [ 1 ]\n\n'],
    ['becomes one line', 'data: {"a":[\ndata:1,\ndata\ndata: 2],\ndata: "b":3}\n\n', 'data: {"a":null, "b":3}\n\n'],
    ['may hold no more than blanks', 'data:\ndata\ndata:  \n\n', 'data:    \n\n'],
    ['becomes one line also without masks', 'data: [1,\ndata: 2]\n\n', 'data: [1, 2]\n\n'],
    ['may end its lines in CR LF', 'data: {"a":1}\r\n\r\n', 'data: {"a":null}\n\n'],
    ['may end its lines in CR', 'data: {"a":1}\r\r', 'data: {"a":null}\n\n'],
    ['may mix line ends', ': x\rdata: {"a":1}\r\ndata: \n\rdata: 2\n\r\n', ': x\ndata: {"a":null} \n\ndata: 2\n\n'],
    [
      'keeps its fields, before its data',
      'id: 1\ndata: 1\nevent: x\nretry: 5\n: hi\n\n',
      'id: 1\nevent: x\nretry: 5\n: hi\ndata: 1\n\n',
    ],
    [
      'loses fields that the standard does not know',
      'Data: {"a":1}\n data: 1\ndata : 2\ndatax:3\nx\ndata: 4\n\n',
      'data: 4\n\n',
    ],
    ['may hold nothing', 'id: 1\ndata:\n\nid: 2\ndata\n\n', 'id: 1\ndata: \n\nid: 2\ndata: \n\n'],
    ['may be the mark of the end', 'data: [DONE]\n\n', 'data: [DONE]\n\n'],
    ['is not shown before its blank line', 'data: 1\n\ndata: 2\n', 'data: 1\n\n'],
    ['is not shown when its last line is cut', 'data: 1\n\ndata: 2', 'data: 1\n\n'],
  ])('%s', (_, text, expected) => {
    expect(shown(text)).toBe(expected);
    expect(shown(expected), 'a second time').toBe(expected);
  });

  it.each([
    ['no JSON', 'data: hello\n\n'],
    ['two values', 'data: 1\ndata: 2\n\n'],
    ['the mark of the end twice', 'data: [DONE]\ndata: [DONE]\n\n'],
    ['a string over two lines', 'data: {"b":"x\ndata: y"}\n\n'],
    ['half a value', 'data: {"a":\n\n'],
    ['NUL in a field', 'id: \0\n\n'],
    ['an escape in a comment', ': \x1b[2J\n\n'],
  ])('is refused that holds %s', (_, text) => {
    expect(shown(text)).toBe('ERR_JSON_SYNTAX');
  });

  it('is refused behind a byte order mark, which some readers skip, and others take for the name of a field', () => {
    expect(shown('\ufeffdata: {"a":1}\n\n')).toBe('ERR_JSON_UTF8');
    expect(shown('\n\ufeffdata: {"a":1}\n\n')).toBe('\n\n');
  });

  it('is refused when it is no UTF-8, wherever', () => {
    expect(shown(Buffer.from(': ä\n\n', 'latin1'))).toBe('ERR_JSON_UTF8');
    expect(shown(Buffer.from('x: ä\n\n', 'latin1'))).toBe('ERR_JSON_UTF8');
  });

  it('is held to its limit, over all its lines', () => {
    expect(shown('data: [1,\ndata: 2]\n\n', { eventBytes: 11 })).toBe('data: [1, 2]\n\n');
    expect(shown('data: [1,\ndata: 2222222222]\n\n', { eventBytes: 11 })).toBe('ERR_JSON_LIMIT');
    expect(shown(`x: ${'x'.repeat(20)}`, { eventBytes: 11 })).toBe('ERR_JSON_LIMIT');
  });

  it('has comments and fields of at most 4 KiB', () => {
    const line = `:${' '.repeat(4095)}\n\n`;
    expect(shown(line)).toBe(line);
    expect(shown(` ${line}`.replace(' :', ': '))).toBe('ERR_JSON_LIMIT');
  });
});

it('comments come at once, so that they keep a stream open', () => {
  const masker = createJsonMasker({ rules: [], format: 'sse' });
  masker.push(Buffer.from('data: 1\n'));
  expect(`${masker.push(Buffer.from(': still here\n'))}`).toBe(': still here\n');
  expect(masker.heldBytes).toBe(1);
});

import { createJsonMasker, JsonError, type JsonFormat, type JsonMask, readStrictJson } from './index.ts';

/**
 * Any bytes, as any format: an answer or a JsonError, the same wherever they are cut; what is masked is JSON that `JSON.parse` takes, and what
 * `JSON.parse` takes is masked, but for the named cases that are refused; no masked scalar is shown.
 */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  for (const format of ['json', 'ndjson', 'sse'] as const) fuzzFormat(bytes, format);
  const value = attempt(() => readStrictJson(bytes));
  if (value instanceof JsonError) return;
  const shown = run(bytes, 'json', [bytes.length]);
  if (shown instanceof JsonError) throw new Error('the strict reader took what the masker refuses');
}

function fuzzFormat(bytes: Buffer, format: JsonFormat): void {
  const whole = run(bytes, format, [bytes.length]);
  for (const cuts of [[1], [2, 7], [3, 1, 30]]) {
    const cut = run(bytes, format, cuts);
    if (whole instanceof JsonError !== cut instanceof JsonError) throw new Error('a cut decides whether it is refused');
    if (whole instanceof JsonError && cut instanceof JsonError) {
      if (whole.code !== cut.code) throw new Error(`a cut makes ${whole.code} of ${cut.code}`);
    } else if (whole.toString() !== cut.toString()) throw new Error('a cut changes what is shown');
  }
  if (format === 'json') checkAgainstParse(bytes, whole);
  if (whole instanceof JsonError) return;
  checkAgain(whole, format);
  for (const text of textsOf(whole.toString(), format)) checkShown(JSON.parse(text), PATHS);
}

/** The JSON texts of what was shown. */
function textsOf(shown: string, format: JsonFormat): string[] {
  if (format === 'json') return [shown];
  const lines = shown
    .split('\n')
    .map((line) => (format === 'ndjson' ? line : /^data: (?!\[DONE\]$)(.*)$/.exec(line)?.[1]));
  return lines.filter((line) => line !== undefined).filter((line) => line.trim() !== '');
}

/** At the places of rules stands nothing but what masks wrote. */
function checkShown(value: unknown, paths: readonly (readonly string[])[]): void {
  if (paths.some((path) => path.length === 0) && value !== null && value !== SHOWN)
    throw new Error('a value under a rule is shown');
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    const within = [...paths, ...paths.filter(([first]) => first === '*').map((path) => path.slice(1))];
    for (const item of value) checkShown(item, within);
    return;
  }
  for (const [name, item] of Object.entries(value)) {
    const matching = paths.filter(([first]) => first === '*' || (first !== undefined && fold(first) === fold(name)));
    checkShown(
      item,
      matching.map((path) => path.slice(1)),
    );
  }
}

const fold = (name: string) =>
  name.replace(/\0.*$/s, '').normalize('NFKC').toLowerCase().toUpperCase().normalize('NFKC');

/** What was shown is a stream of the same kind, in which there is nothing left to mask. */
function checkAgain(shown: Buffer, format: JsonFormat): void {
  const again = run(shown, format, [shown.length]);
  if (again instanceof JsonError) throw new Error(`what was shown is refused: ${again.message}`);
  if (!again.equals(shown)) throw new Error('what was shown is shown otherwise');
}

function checkAgainstParse(bytes: Buffer, shown: Buffer | JsonError): void {
  if (!(shown instanceof JsonError)) {
    JSON.parse(shown.toString());
    JSON.parse(bytes.toString());
    return;
  }
  if (shown.code !== 'ERR_JSON_SYNTAX') return;
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return;
  }
  throw new Error(`JSON.parse takes what is refused: ${shown.message}`);
}

/** Masks `bytes` in chunks of the lengths of `cuts`, over and over. */
function run(bytes: Buffer, format: JsonFormat, cuts: readonly number[]): Buffer | JsonError {
  const mask: JsonMask = ({ buffer, start, end }, into, at) => {
    const text = buffer.toString('utf8', start, end);
    return text.length % 3 === 0 ? -1 : at + into.write(text === SHOWN ? text : SHOWN, at);
  };
  return attempt(() => {
    const masker = createJsonMasker({ rules: PATHS.map((path) => ({ path, mask })), format });
    const shown: Buffer[] = [];
    for (let at = 0, cut = 0; at < bytes.length; cut++) {
      const next = at + Math.max(1, cuts[cut % cuts.length] ?? 1);
      shown.push(...masker.push(bytes.subarray(at, next)));
      at = next;
    }
    shown.push(...masker.end());
    if (masker.heldBytes > bytes.length) throw new Error('it holds more than came');
    return Buffer.concat(shown);
  });
}

function attempt<T>(step: () => T): T | JsonError {
  try {
    return step();
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
}

/** Not a multiple of three characters, so that masking it again leaves it. */
const SHOWN = '[hidden]';
const PATHS = [['s'], ['a', 'k'], ['*', 'b', '*', 'c'], ['ä', 'ß']];

const DOCUMENTS = [
  '{"s":"geheim","a":{"k":"geheim\\n","x":[1,2.5e-3,-0,true,false,null]},"S":["geheim"]}',
  '[{"a":[[{"K":"geheim"}]]},{"a":{"\\u212a":"geheim","k\\u0000":1}},{"\\u017f":"geheim","k":2}]',
  '{"x":{"b":[{"c":"geheim"}],"B":{"q":{"c":"geheim"}}},"Ä":{"SS":"geheim","ẞ":"\\ud83d\\ude00"}}',
  '"geheim"',
  ' [ ] ',
  '-1.0E+10',
];

export const seeds: readonly Uint8Array[] = [
  ...DOCUMENTS.map((text) => Buffer.from(text)),
  Buffer.from(DOCUMENTS.join('\n')),
  Buffer.from(`: hi\r\nevent: x\rid: 1\ndata: ${DOCUMENTS[0]}\n\ndata: [DONE]\n\n`),
  Buffer.from('data\ndata:{"s":\r\ndata: "geheim"\r\ndata:}\r\n\r\nretry: 5\n\ndatum: 1\n\n'),
  Buffer.from(`\ufeff${DOCUMENTS[0]}`),
  Buffer.from('{"s\\ud800":1}'),
  Buffer.from([0x22, 0xc3, 0x28, 0x22]),
];

export const tokens = [
  ...['{', '}', '[', ']', ':', ',', '"', '\\', '\n', '\r', '\r\n', '\n\n', ' ', '"s":', '"a":', '"k":', '"\\u0073":'],
  ...[
    '"geheim"',
    'null',
    'true',
    'false',
    '0',
    '1',
    '-',
    'e',
    '.',
    '\\u',
    '\\u0000',
    '\\ud800',
    'ä',
    'ſ',
    'K',
    '\ufeff',
  ],
  ...['data:', 'data: ', 'event:', 'id:', ':', '\0'],
];

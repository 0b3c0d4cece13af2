import { createHash } from 'node:crypto';
import { isFields, type Node, nodeOf, textOf } from './tree.ts';

/** 16 hex digits; see `StatementFacts.fingerprint`. */
export function fingerprintOf({ kind, fields }: Node): string {
  const hash = createHash('sha256');
  hash.update(kind);
  feed(fields, (text) => hash.update(text));
  return hash.digest('hex').slice(0, FINGERPRINT_DIGITS);
}

function feed(value: unknown, write: (text: string) => void): void {
  if (Array.isArray(value)) {
    feedList(value, write);
    return;
  }
  if (!isFields(value)) {
    write(JSON.stringify(value) ?? '');
    return;
  }
  const node = nodeOf(value);
  if (node?.kind === 'A_Const' || node?.kind === 'ParamRef') {
    write('?');
    return;
  }
  if (node?.kind === 'DefElem') {
    // Options carry passwords, and a digest of a weak one could be tried out.
    write(textOf(node.fields, 'defname') ?? '');
    return;
  }
  write('{');
  for (const [name, item] of Object.entries(value)) {
    if (name === 'location' || name.endsWith('_location')) continue;
    // Where a constant list stood in the text is no part of its meaning.
    if (name.startsWith('rexpr_list_') || name === 'list_start' || name === 'list_end') continue;
    write(`${name}:`);
    feed(item, write);
    write(',');
  }
  write('}');
}

/** Runs of equal items (constants in a list, rows of VALUES) count once, so that their number makes no new fingerprint. */
function feedList(items: readonly unknown[], write: (text: string) => void): void {
  write('[');
  let before: string | undefined;
  for (const item of items) {
    const parts: string[] = [];
    feed(item, (text) => parts.push(text));
    const text = parts.join('');
    if (text !== before) write(`${text};`);
    before = text;
  }
  write(']');
}

/** 64 bits: no two shapes of one target are likely to share it. */
const FINGERPRINT_DIGITS = 16;

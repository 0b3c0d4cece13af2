import { DocumentError } from './errors.ts';
import { fieldsOf, ownText, quoted } from './values.ts';

/** Follows `$ref` within one document. */
export interface References {
  /** What a value is, through as many references as it takes. @throws DocumentError ERR_DOCUMENT_REFERENCE */
  resolved(value: unknown): unknown;
  /** What a reference refers to, which may be one again. @throws DocumentError ERR_DOCUMENT_REFERENCE */
  target(reference: string): unknown;
}

/** Only what the document itself has is followed: no file is opened and nothing is asked for. @see RFC 6901 */
export function createReferences(root: unknown): References {
  const known = new Map<string, unknown>();
  const target = (reference: string): unknown => {
    if (!known.has(reference)) known.set(reference, found(root, reference));
    return known.get(reference);
  };
  return {
    target,
    resolved(value) {
      let at = value;
      for (let steps = 0; steps < STEPS_MAX; steps++) {
        const reference = ownText(fieldsOf(at), '$ref');
        if (reference === undefined) return at;
        at = target(reference);
      }
      throw new DocumentError('ERR_DOCUMENT_REFERENCE', 'its references go round in a circle, or on and on');
    },
  };
}

function found(root: unknown, reference: string): unknown {
  if (!reference.startsWith('#'))
    throw new DocumentError(
      'ERR_DOCUMENT_REFERENCE',
      `it refers to ${quoted(reference)}, which is not in it; bundle it into one file first, as with \`redocly bundle\``,
    );
  let at = root;
  for (const name of namesOf(reference)) {
    const next: unknown = Array.isArray(at) ? (/^\d{1,6}$/.test(name) ? at[Number(name)] : undefined) : undefined;
    const fields = fieldsOf(at);
    at = fields !== undefined && Object.hasOwn(fields, name) ? fields[name] : next;
    if (at === undefined)
      throw new DocumentError('ERR_DOCUMENT_REFERENCE', `it refers to ${quoted(reference)}, which it does not have`);
  }
  return at;
}

function namesOf(reference: string): readonly string[] {
  let pointer = reference.slice(1);
  try {
    pointer = decodeURIComponent(pointer);
  } catch {
    // Then it is taken as it stands, as by those who encode nothing.
  }
  if (pointer === '') return [];
  if (!pointer.startsWith('/'))
    throw new DocumentError(
      'ERR_DOCUMENT_REFERENCE',
      `it refers to ${quoted(reference)} by a name; refer to it by its path`,
    );
  return pointer
    .slice(1)
    .split('/')
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
}

const STEPS_MAX = 32;

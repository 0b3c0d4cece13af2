import { DerReader, TAG } from './der-reader.ts';
import { checkDirectoryString } from './directory-string.ts';
import { X509Error } from './errors.ts';

/**
 * Checks a Name, DER: SEQUENCE of SET of (type, value), each value a string that is well encoded. Gives back what it was given.
 * @throws X509Error ERR_CERTIFICATE or ERR_DER
 * @see RFC 5280 §4.1.2.4
 */
export function checkName(element: Buffer): Buffer {
  const name = new DerReader(element).enter(TAG.sequence);
  while (!name.done) {
    const set = name.enter(TAG.set);
    if (set.done) throw new X509Error('ERR_CERTIFICATE', 'a name holds an empty set');
    while (!set.done) {
      const attribute = set.enter(TAG.sequence);
      attribute.oid();
      const tag = attribute.peek() ?? 0;
      checkDirectoryString(tag, attribute.content(tag));
      attribute.finish();
    }
  }
  return element;
}

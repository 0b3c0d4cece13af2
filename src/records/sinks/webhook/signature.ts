import { createHmac } from 'node:crypto';
import { RecordsError } from '../../errors.ts';

/** Keys from the text of a secret: `whsec_` and Base64, one or several. @throws RecordsError ERR_RECORDS_SINK, which does not repeat it */
export function parseSecrets(text: string): readonly Buffer[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const keys = words.map((word) => {
    const key = Buffer.from(word.replace(/^whsec_/, ''), 'base64');
    const isBase64 = /^whsec_[A-Za-z0-9+/]+={0,2}$/.test(word);
    if (isBase64 && key.length >= KEY_BYTES_MIN && key.length <= KEY_BYTES_MAX) return key;
    throw new RecordsError(
      'ERR_RECORDS_SINK',
      `a secret of a webhook is whsec_ and ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} bytes in Base64: make one by \`echo "whsec_$(openssl rand -base64 32)"\``,
    );
  });
  if (keys.length === 0 || keys.length > KEYS_MAX)
    throw new RecordsError('ERR_RECORDS_SINK', `a webhook has 1 to ${KEYS_MAX} secrets`);
  return keys;
}

/** The header of a message under each of the keys, by one of which the other side knows it. @see Standard Webhooks 1.0.0 */
export function signatures(
  keys: readonly Buffer[],
  { id, timestamp, body }: { readonly id: string; readonly timestamp: string; readonly body: Buffer },
): string {
  const sign = (key: Buffer) => createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
  return keys.map((key) => `v1,${sign(key)}`).join(' ');
}

const KEY_BYTES_MIN = 24;
const KEY_BYTES_MAX = 64;
const KEYS_MAX = 4;

import { X509Error } from '../errors.ts';

/** One PEM block: what stands between `-----BEGIN label-----` and its END. */
export interface PemBlock {
  readonly label: string;
  readonly der: Buffer;
}

/** Writes one PEM block, lines of 64 characters, ending in a newline. @see RFC 7468 §2 */
export function encodePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.map((line) => `${line}\n`).join('')}-----END ${label}-----\n`;
}

/**
 * Reads every PEM block of a text, in order. Text outside blocks is ignored, as RFC 7468 §2 allows; inside, only base64.
 * @throws X509Error ERR_PEM
 */
export function decodePem(text: string): PemBlock[] {
  if (text.length > PEM_CHARS_MAX) throw new X509Error('ERR_PEM', `PEM text is over ${PEM_CHARS_MAX} characters`);
  const blocks: PemBlock[] = [];
  let label: string | undefined;
  let body = '';
  for (const rawLine of text.split('\n')) {
    const line = rawLine.trimEnd();
    const boundary = /^-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----$/.exec(line);
    if (label === undefined) {
      if (boundary?.[1] === 'END') throw new X509Error('ERR_PEM', `END ${boundary[2]} has no BEGIN`);
      if (boundary) label = boundary[2];
    } else if (!boundary) {
      body += line;
    } else {
      if (boundary[1] !== 'END' || boundary[2] !== label) {
        throw new X509Error('ERR_PEM', `BEGIN ${label} is not closed by its END`);
      }
      blocks.push({ label, der: decodeBase64(body, label) });
      label = undefined;
      body = '';
    }
  }
  if (label !== undefined) throw new X509Error('ERR_PEM', `BEGIN ${label} has no END`);
  return blocks;
}

/**
 * The certificates of a PEM text, as DER; at least one, and nothing but certificates.
 * @throws X509Error ERR_PEM
 */
export function decodeCertificatesPem(text: string): Buffer[] {
  const blocks = decodePem(text);
  if (blocks.length === 0) throw new X509Error('ERR_PEM', 'the text holds no PEM block');
  return blocks.map((block) => {
    if (block.label !== 'CERTIFICATE') {
      throw new X509Error('ERR_PEM', `expected only CERTIFICATE blocks, found ${block.label}`);
    }
    return block.der;
  });
}

function decodeBase64(body: string, label: string): Buffer {
  const bytes = Buffer.from(body, 'base64');
  // Node skips what is not base64; comparing back refuses it, and non-canonical padding with it.
  if (body === '' || bytes.toString('base64') !== body)
    throw new X509Error('ERR_PEM', `the ${label} block is not base64`);
  return bytes;
}

/** A thousand certificates of a large bundle. */
const PEM_CHARS_MAX = 4 * 1024 * 1024;

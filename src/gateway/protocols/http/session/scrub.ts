/**
 * Takes the gateway's own credential out of what an upstream answers: one that echoes its requests would hand it to the client. Each
 * occurrence becomes asterisks, as many as it has bytes, so that lengths stay true.
 */
export interface Scrubber {
  /** What can be shown of all that has come so far, in order. */
  push(chunk: Buffer): Buffer;
  /** The rest. */
  end(): Buffer;
}

/** Creates one for a stream of bytes. `forms`: what is looked for, each at least one byte long. */
export function createScrubber(forms: readonly Buffer[]): Scrubber {
  let kept: Buffer = EMPTY;
  return {
    push(chunk) {
      const bytes = scrubBytes(kept.length === 0 ? chunk : Buffer.concat([kept, chunk]), forms);
      const held = openEnd(bytes, forms);
      // A copy: what it is part of may be used again.
      kept = held === 0 ? EMPTY : Buffer.from(bytes.subarray(bytes.length - held));
      return held === 0 ? bytes : bytes.subarray(0, bytes.length - held);
    },
    end() {
      const rest = kept;
      kept = EMPTY;
      return rest;
    },
  };
}

/** The same of a text. */
export function scrubText(text: string, forms: readonly Buffer[]): string {
  let scrubbed = text;
  for (const secret of textsOf(forms))
    if (scrubbed.includes(secret)) scrubbed = scrubbed.replaceAll(secret, '*'.repeat(secret.length));
  return scrubbed;
}

/** The same of bytes that stand for themselves. */
export function scrubBytes(bytes: Buffer, forms: readonly Buffer[]): Buffer {
  let scrubbed = bytes;
  for (const form of forms) {
    for (let at = scrubbed.indexOf(form); at >= 0; at = scrubbed.indexOf(form, at + form.length)) {
      if (scrubbed === bytes) scrubbed = Buffer.from(bytes);
      scrubbed.fill(ASTERISK, at, at + form.length);
    }
  }
  return scrubbed;
}

/** How many bytes at the end may be the beginning of one of them. */
function openEnd(bytes: Buffer, forms: readonly Buffer[]): number {
  let most = 0;
  for (const form of forms) {
    for (let length = Math.min(form.length - 1, bytes.length); length > most; length--) {
      if (bytes[bytes.length - length] !== form[0]) continue;
      if (form.compare(bytes, bytes.length - length, bytes.length, 0, length) === 0) most = length;
    }
  }
  return most;
}

/** They are looked for in every field of every answer. */
function textsOf(forms: readonly Buffer[]): readonly string[] {
  const known = texts.get(forms);
  if (known !== undefined) return known;
  const made = forms.map((form) => form.toString('latin1'));
  texts.set(forms, made);
  return made;
}

const texts = new WeakMap<readonly Buffer[], readonly string[]>();
const EMPTY = Buffer.alloc(0);
const ASTERISK = 0x2a;

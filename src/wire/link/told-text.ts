/** What a peer tells, or is told, as one line of at most so many bytes of UTF-8; one that is cut ends with an ellipsis. */
export function toldText(text: string, bytesMax: number): string {
  const line = text.replaceAll(/[\p{Cc}\u2028\u2029\p{Bidi_Control}]/gu, ' ');
  const bytes = Buffer.from(line, 'utf8');
  if (bytes.length <= bytesMax) return bytes.toString('utf8');
  let end = bytesMax - ELLIPSIS.length;
  // Not within a character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return Buffer.concat([bytes.subarray(0, end), ELLIPSIS]).toString('utf8');
}

const ELLIPSIS = Buffer.from('…', 'utf8');

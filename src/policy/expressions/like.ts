/**
 * Compiles a `like` pattern: pieces of text, null for the wildcard. The parts between wildcards are searched once each, from left to
 * right; the leftmost place is always good enough, so nothing is ever tried twice.
 */
export function compileLike(pieces: readonly (string | null)[]): (text: string) => boolean {
  const parts = [''];
  for (const piece of pieces) {
    if (piece === null) parts.push('');
    else parts.push(`${parts.pop() ?? ''}${piece}`);
  }
  const head = parts[0] ?? '';
  if (parts.length === 1) return (text) => text === head;
  const tail = parts.at(-1) ?? '';
  const middle = parts.slice(1, -1).filter((part) => part !== '');
  return (text) => {
    if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
    const end = text.length - tail.length;
    let at = head.length;
    for (const part of middle) {
      const found = text.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}

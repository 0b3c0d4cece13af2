/**
 * Compiles a `like` pattern: pieces of text, null for the wildcard. The parts between wildcards are searched once each, from left to
 * right; the leftmost place is always good enough, so nothing is ever tried twice.
 */
export function compileLike(pieces: readonly (string | null)[]): (text: string) => boolean {
  const parts = partsOf(pieces);
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

/** What such a pattern says of every text that begins so; undefined where it says this of one and that of another. */
export function compileLikeOfBeginning(pieces: readonly (string | null)[]): (beginning: string) => boolean | undefined {
  const parts = partsOf(pieces);
  const [head = '', tail = ''] = [parts[0], parts.at(-1)];
  const matches = compileLike(pieces);
  const isWhole = parts.length === 1;
  return (beginning) => {
    if (!head.startsWith(beginning) && (isWhole || !beginning.startsWith(head))) return false;
    // Behind a wildcard that ends the pattern anything may stand.
    return !isWhole && tail === '' && matches(beginning) ? true : undefined;
  };
}

/** The texts between wildcards. */
function partsOf(pieces: readonly (string | null)[]): readonly string[] {
  const parts = [''];
  for (const piece of pieces) {
    if (piece === null) parts.push('');
    else parts.push(`${parts.pop() ?? ''}${piece}`);
  }
  return parts;
}

import { formatWords } from '../terminal/table.ts';

/**
 * What became of a resource, for a terminal, one line for each difference as the server tells them, behind the indent: of a policy's text that is new
 * or gone its lines as they are, of one that changed those that did, with their numbers. A line of a policy is never broken.
 */
export function changeLines(
  {
    kind,
    action,
    differences,
  }: { readonly kind: string; readonly action: string; readonly differences: readonly string[] },
  indent: string,
): readonly string[] {
  return differences.map((difference) => {
    const [, sign, line, text = ''] = (kind === 'Policy' ? TEXT_LINE.exec(difference) : null) ?? [];
    if (sign === undefined) return formatWords(difference, indent);
    return `${indent}${sign}${action === 'update' ? `${line}: ` : ' '}${text}`.trimEnd();
  });
}

/** `cedar -12: old`. */
const TEXT_LINE = /^cedar ([+-])(\d+): (.*)$/s;

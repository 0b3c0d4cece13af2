import { listedKinds } from '../../app/declared-kinds.ts';
import { anyOf } from '../../resources/index.ts';
import { UsageError } from '../command.ts';

/** The name of a kind, as it is or as files of endpoints have it: `target` is `Target`. @throws UsageError */
export function kindNamed(text: string): string {
  const names = listedKinds.map(({ name }) => name);
  const found = names.find((name) => name.toLowerCase() === text.replaceAll('-', '').toLowerCase());
  if (found !== undefined) return found;
  throw new UsageError(`there is no kind ${text}; it is ${anyOf(names)}`);
}

/** The spec of a declared resource as plain data. */
export function specOf(specJson: string): Record<string, unknown> {
  const spec: unknown = JSON.parse(specJson);
  return typeof spec === 'object' && spec !== null ? { ...spec } : {};
}

import { createHash } from 'node:crypto';
import { isFields, type Node, nodeOf, textOf } from './tree.ts';

/** 16 hex digits; see `StatementFacts.fingerprint`. Walks with an own stack: a chain of operators is as deep as it is long. */
export function fingerprintOf({ kind, fields }: Node): string {
  const hash = createHash('sha256');
  hash.update(kind);
  /** Where text goes: to the innermost list item, which is compared with the one before once it is whole. */
  const items: string[][] = [];
  const write = (text: string) => void (items.at(-1)?.push(text) ?? hash.update(text));
  const todo: Step[] = [{ value: fields }];
  for (let step = todo.pop(); step !== undefined; step = todo.pop()) {
    if (typeof step === 'string') write(step);
    else if (!('list' in step)) writeValue(step.value, { todo, write });
    else {
      // Runs of equal items (constants in a list, rows of VALUES) count once, so that their number makes no new fingerprint.
      const item = step.at > 0 ? items.pop()?.join('') : undefined;
      if (item !== undefined && item !== step.before) write(`${item};`);
      if (step.at === step.list.length) write(']');
      else {
        todo.push({ list: step.list, at: step.at + 1, before: item }, { value: step.list[step.at] });
        items.push([]);
      }
    }
  }
  return hash.digest('hex').slice(0, FINGERPRINT_DIGITS);
}

type Step = string | { readonly value: unknown } | ListStep;

interface ListStep {
  readonly list: readonly unknown[];
  readonly at: number;
  readonly before: string | undefined;
}

function writeValue(value: unknown, { todo, write }: { todo: Step[]; write: (text: string) => void }): void {
  const node = nodeOf(value);
  if (Array.isArray(value)) {
    write('[');
    todo.push({ list: value, at: 0, before: undefined });
  } else if (!isFields(value)) write(JSON.stringify(value) ?? '');
  else if (node?.kind === 'A_Const' || node?.kind === 'ParamRef') write('?');
  // Options carry passwords, and a digest of a weak one could be tried out.
  else if (node?.kind === 'DefElem') write(textOf(node.fields, 'defname') ?? '');
  else {
    const names = Object.keys(value).filter((name) => !isPlace(name));
    write('{');
    todo.push('}');
    for (const name of names.reverse()) todo.push(',', { value: value[name] }, `${name}:`);
  }
}

/** Where something stood in the text is no part of its meaning. */
function isPlace(name: string): boolean {
  if (name === 'location' || name.endsWith('_location')) return true;
  return name.startsWith('rexpr_list_') || name === 'list_start' || name === 'list_end';
}

/** 64 bits: no two shapes of one target are likely to share it. */
const FINGERPRINT_DIGITS = 16;

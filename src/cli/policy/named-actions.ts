import { policySchema } from '../../app/declared-rules.ts';
import { didYouMean } from '../../policy/index.ts';
import { UsageError } from '../command.ts';

/** One action of the schema by its name. @throws UsageError, also for a group of actions */
export function namedAction(name: string): string {
  const [only, ...others] = namedActions(name);
  if (only === undefined || others.length > 0 || policySchema.actions.get(name)?.isGroup === true)
    throw new UsageError(`${name} is a group of actions; ask about one of them`);
  return only;
}

/**
 * The actions that a name means: `postgres:select`, that without its protocol where only one has it, or a group, `postgres:write`, by each of its
 * actions. @throws UsageError
 */
export function namedActions(name: string): readonly string[] {
  const all = Array.from(policySchema.actions.keys());
  const [found, ...others] = all.filter((id) => id === name || id.endsWith(`:${name}`));
  if (found === undefined || others.length > 0) {
    const hint = didYouMean(name, [...all, ...all.map((id) => id.slice(id.indexOf(':') + 1))]);
    throw new UsageError(`there is no action ${JSON.stringify(name)}${hint === undefined ? '' : ` (${hint})`}`);
  }
  return Array.from(policySchema.actions).flatMap(([id, { isGroup, groups }]) =>
    !isGroup && (id === found || groups.includes(found)) ? [id] : [],
  );
}

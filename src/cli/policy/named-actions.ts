import { policySchema } from '../../app/policy-schema.ts';
import { didYouMean } from '../../policy/index.ts';
import { UsageError } from '../command.ts';

/** One action of the schema by its name, as for {@link namedActions}. @throws UsageError, also for a group of actions */
export function namedAction(name: string, protocol?: string): string {
  const found = actionNamed(name, protocol);
  if (policySchema.actions.get(found)?.isGroup === true)
    throw new UsageError(`${name} is a group of actions; ask about one of them`);
  return found;
}

/**
 * The actions that a name means: `postgres:select`, that without its protocol, `select`, where it is known which is meant or only one has it, or a
 * group, `postgres:write`, by each of its actions. `protocol`: that of what is asked about. @throws UsageError
 */
export function namedActions(name: string, protocol?: string): readonly string[] {
  const found = actionNamed(name, protocol);
  return Array.from(policySchema.actions).flatMap(([id, { isGroup, groups }]) =>
    !isGroup && (id === found || groups.includes(found)) ? [id] : [],
  );
}

/** The protocol of an action: `postgres`. */
export function protocolOfAction(action: string): string {
  return action.slice(0, Math.max(0, action.indexOf(':')));
}

/** @throws UsageError */
function actionNamed(name: string, protocol: string | undefined): string {
  const all = Array.from(policySchema.actions.keys());
  if (policySchema.actions.has(name)) return name;
  const having = all.filter((id) => id.endsWith(`:${name}`));
  const own = protocol === undefined ? having : having.filter((id) => protocolOfAction(id) === protocol);
  const [found, ...others] = own;
  if (found !== undefined && others.length === 0) return found;
  if (found !== undefined) throw new UsageError(`${name} is an action of several protocols; write ${listed(own)}`);
  const known = protocol === undefined ? all : all.filter((id) => protocolOfAction(id) === protocol);
  const hint = didYouMean(name, [...known, ...known.map((id) => id.slice(id.indexOf(':') + 1))]);
  const other = having.length === 0 ? undefined : `${listed(having)} is`;
  const of = other === undefined || protocol === undefined || known.length === 0 ? '' : ` of ${protocol}`;
  const more = hint ?? other;
  throw new UsageError(`there is no action ${JSON.stringify(name)}${of}${more === undefined ? '' : ` (${more})`}`);
}

function listed(actions: readonly string[]): string {
  return `${actions.slice(0, -1).join(', ')}${actions.length > 1 ? ' or ' : ''}${actions.at(-1)}`;
}

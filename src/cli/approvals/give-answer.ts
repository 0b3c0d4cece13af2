import { type CliContext, type CliInput, exitCodes, flagOption, textOption, UsageError } from '../command.ts';
import { restOptions, withRest } from '../connections/with-rest.ts';
import { confirm } from '../terminal/confirm.ts';
import { formatApproval, type ShownApproval } from './approval-text.ts';
import { findApproval, findOptions } from './find-approval.ts';

/** Options of both answers. */
export const answerOptions = [
  ['--digest <digits>', 'do not ask: answer what has this digest, of which eight digits are enough'],
  ['--all-equal', 'answer as many equal ones as are shown'],
  ['--reason <text>', 'why, for the ledgers; the client of a denied operation is told'],
  ...findOptions,
  ...restOptions,
] as const;

/** Shows what waits, and answers it once somebody has said that this is what they mean. */
export async function giveAnswer(context: CliContext, input: CliInput, answer: 'approve' | 'deny'): Promise<number> {
  const { signal } = context;
  const digits = textOption(input, 'digest');
  if (digits !== undefined && !/^[0-9a-f]{8,64}$/.test(digits))
    throw new UsageError(`--digest ${digits} is not eight to 64 hex digits, as \`countersign approval show\` has them`);
  return withRest(context, input, async (client) => {
    const shown = await findApproval(client, input, signal);
    context.say(formatApproval(shown, context.clock.now(), context.columns));
    if (shown.state !== 'waiting') {
      context.warn(`it is ${shown.state}: there is nothing to answer any more`);
      return exitCodes.no;
    }
    const equals = flagOption(input, 'allEqual') ? Math.min(shown.equals, EQUALS_MAX) : 1;
    if (!(await isMeant(context, { shown, digits, answer, equals }))) return exitCodes.no;
    const reason = textOption(input, 'reason')?.trim() ?? '';
    const { id, target, digest } = shown;
    const given = { id, target, digest, answer, equals, ...(reason === '' ? {} : { reason }) };
    // Said twice it is the same answer.
    const { output } = await client.call('approval.answer', given, { signal });
    context.emit({ ...output, digest }, () => outcomeText(output));
    return exitCodes.ok;
  });
}

/** @throws UsageError where nobody is there to ask, and no digest was given */
async function isMeant(
  context: CliContext,
  of: {
    readonly shown: ShownApproval;
    readonly digits: string | undefined;
    readonly answer: 'approve' | 'deny';
    readonly equals: number;
  },
): Promise<boolean> {
  const { shown, digits, answer, equals } = of;
  if (digits !== undefined) {
    if (shown.digest.startsWith(digits)) return true;
    context.warn(`what waits has the digest ${shown.digest}, not ${digits}: look at it again`);
    return false;
  }
  const verb = answer === 'approve' ? 'Approve' : 'Deny';
  const what = equals > 1 ? `${equals} such operations` : 'it';
  const unasked = `give --digest ${shown.digest.slice(0, DIGITS)} if it is what is shown`;
  return confirm(context, { question: `${verb} ${what}?`, unasked });
}

function outcomeText({ state, answered }: { readonly state: string; readonly answered: number }): string {
  const many = answered > 1 ? ` (${answered} operations)` : '';
  if (state === 'waiting') return `approved by you; others have to approve it as well${many}`;
  return answered === 0 ? `${state}: you had answered it before` : `${state}${many}`;
}

const DIGITS = 8;
/** Of one answer. */
const EQUALS_MAX = 1000;

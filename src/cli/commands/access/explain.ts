import { type CliCommand, exitCodes, flagOption, listOption, textOption, UsageError } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';
import { formatList } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Say what somebody may do with the server, or who may do something, and by which policies.',
  options: [
    ['--who <identity>', 'a SPIFFE ID, or its path; without it and --issuer: whoever calls'],
    ['--issuer <url>', 'of a person: who says who it is'],
    ['--subject <name>', 'of a person, as the issuer says'],
    ['--email <address>', 'of a person, as the issuer has verified it'],
    ['--group <name...>', 'of a person, each group'],
    ['--action <name>', 'one action, such as session.list; alone: who may do it'],
    ['--me', 'with --action: whether whoever calls may'],
    ['--target <name>', 'with --action: of that target'],
    ['--identity-asked <id>', 'with --action: of that identity'],
    ...restOptions,
  ],
  examples: [
    'countersign access explain',
    'countersign access explain --action session.end',
    'countersign access explain --issuer https://login.corp.example --group auditors --action record.search --target shop',
  ],
  async run(context, input) {
    const { signal } = context;
    const named = textOption(input, 'action');
    const action = named === undefined ? {} : { action: named.includes(':') ? named : `countersign:${named}` };
    const [target, identity] = [textOption(input, 'target'), textOption(input, 'identityAsked')];
    const about = { ...(target === undefined ? {} : { target }), ...(identity === undefined ? {} : { identity }) };
    const { output } = await withRest(context, input, async (client) => {
      const who = flagOption(input, 'me') ? await ownWho(client, signal) : whoOf(input);
      return client.call('access.explain', { ...action, ...about, ...(who === undefined ? {} : { who }) }, { signal });
    });
    context.emit(output, () => {
      const { decision, principal } = output;
      const rows = [
        ...output.actions.map((one) => [one.action.replace('countersign:', ''), one.verdict, reasonsOf(one.policies)]),
        ...output.holders.map((one) => [one.principal, one.verdict, reasonsOf(one.policies)]),
      ];
      const list =
        rows.length === 0 ? 'Nothing is permitted.' : formatList(['what', 'permitted', 'by'], rows, context.columns);
      if (decision === undefined) return principal === undefined ? list : `${principal}\n\n${list}`;
      const ids = decision.policies.length === 0 ? '' : ` by ${decision.policies.join(', ')}`;
      const said = decision.allow ? `may${ids}` : `may not: ${decision.reason ?? 'refused'}${ids}`;
      return `${principal} ${said}\n\n${list}`;
    });
    return output.decision?.allow === false ? exitCodes.no : exitCodes.ok;
  },
};

/** @throws UsageError */
function whoOf(input: Parameters<CliCommand['run']>[1]) {
  const [identity, issuer] = [textOption(input, 'who'), textOption(input, 'issuer')];
  if (identity !== undefined && issuer !== undefined) throw new UsageError('give --who or --issuer, not both');
  if (identity !== undefined) return { identity };
  const [subject, email] = [textOption(input, 'subject'), textOption(input, 'email')];
  const groups = listOption(input, 'group');
  if (issuer === undefined) {
    if (subject === undefined && email === undefined && groups.length === 0) return undefined;
    throw new UsageError('of a person --issuer is needed, as in --issuer https://login.corp.example');
  }
  const person = { issuer, groups: [...groups] };
  return {
    person: {
      ...person,
      ...(subject === undefined ? {} : { subject }),
      ...(email === undefined ? {} : { email }),
    },
  };
}

/** @throws UsageError */
async function ownWho(client: Parameters<Parameters<typeof withRest>[2]>[0], signal: AbortSignal) {
  const { output } = await client.call('caller.get', {}, { signal });
  const { kind, name, person } = output;
  if (kind === 'identity') return { identity: name };
  if (person === undefined) throw new UsageError('the operator socket may do all that operators do');
  const { issuer, subject, email, groups } = person;
  return { person: { issuer, subject, groups, ...(email === undefined ? {} : { email }) } };
}

function reasonsOf(policies: readonly { policy: string; effect: string; when: readonly string[] }[]): string {
  return policies
    .map(({ policy, effect, when }) => {
      const about = when.length === 0 ? '' : `, ${when.join(', ')}`;
      return `${effect === 'forbid' ? 'unless forbidden by ' : ''}${policy}${about}`;
    })
    .join('; ');
}

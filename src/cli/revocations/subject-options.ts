import type { ApiClient } from '@countersign/sdk/client';
import type { RevocationSubject } from '../../model/index.ts';
import { type CliInput, textOption, UsageError } from '../command.ts';

/** Options that say whose credentials a revocation is about: one of them. */
export const subjectOptions = [
  ['--who <id>', 'an identity: a SPIFFE ID, or its path from / on'],
  ['--entry <id>', 'what one entry gives'],
  ['--node <id>', 'a node and all that comes through its agent, by its SPIFFE ID'],
  ['--process <pid:start>', 'with --node: one process of it, by its number and start as the record has them'],
  ['--key <sha256>', 'every certificate of one public key: SHA-256 of its SubjectPublicKeyInfo, hex'],
  ['--label <name=value>', 'every identity that has an entry with that label'],
  [
    '--person <name>',
    'somebody who signs in, as the ledger has them: issuer#subject; or the e-mail address of one who has',
  ],
] as const;

/** The subject that the options name. @throws UsageError; ApiProblem */
export async function subjectOf(client: ApiClient, input: CliInput, signal: AbortSignal): Promise<RevocationSubject> {
  const [who, entry, node] = ['who', 'entry', 'node'].map((name) => textOption(input, name));
  const [process, key, label, person] = ['process', 'key', 'label', 'person'].map((name) => textOption(input, name));
  const named = [who, entry, node, key, label, person].filter((text) => text !== undefined);
  if (named.length !== 1 || named[0] === '')
    throw new UsageError(
      'name one: --who, --entry, --node (with --process for one process of it), --key, --label or --person',
    );
  if (process !== undefined && node === undefined) throw new UsageError('--process is one of a --node; give both');
  if (who !== undefined) return { kind: 'identity', spiffeId: await wholeId(client, who, signal) };
  if (key !== undefined) return { kind: 'key', thumbprint: key.toLowerCase().replaceAll(':', '') };
  if (label !== undefined) return labelOf(label);
  if (person !== undefined) return personOf(client, person, signal);
  if (entry !== undefined) {
    const { output } = await client.call('entry.get', { id: entry }, { signal });
    return { kind: 'entry', entryId: entry, spiffeId: output.spiffeId };
  }
  const nodeId = await wholeId(client, node ?? '', signal);
  return process === undefined ? { kind: 'node', nodeId } : { kind: 'instance', nodeId, ...processOf(process) };
}

/** By what sessions are found that it will end; undefined where they are not found so. */
export function sessionsOf(subject: RevocationSubject): { identity?: string; node?: string } | undefined {
  switch (subject.kind) {
    case 'identity':
    case 'entry':
      return { identity: subject.spiffeId };
    case 'node':
    case 'instance':
      return { node: subject.nodeId };
    case 'key':
    case 'label':
    case 'person':
      return undefined;
    default:
      return subject satisfies never;
  }
}

async function wholeId(client: ApiClient, text: string, signal: AbortSignal): Promise<string> {
  if (!text.startsWith('/')) return text;
  const { output } = await client.call('revocation.list', {}, { signal });
  return `spiffe://${output.trustDomain}${text}`;
}

/** @throws UsageError; ApiProblem */
async function personOf(client: ApiClient, text: string, signal: AbortSignal): Promise<RevocationSubject> {
  const at = text.lastIndexOf('#');
  if (at > 0) return { kind: 'person', issuer: text.slice(0, at), subject: text.slice(at + 1) };
  const { output } = await client.call('sign-in.list', {}, { signal });
  const found = output.signIns.filter(({ subject, email }) => subject === text || email === text);
  const [one] = found;
  if (one === undefined)
    throw new UsageError(`${text} has not signed in; name who it is as the ledger does: issuer#subject`);
  const { issuer, subject } = one;
  if (found.some((other) => other.issuer !== issuer || other.subject !== subject))
    throw new UsageError(`several people are called ${text}; name one as the ledger does: issuer#subject`);
  return { kind: 'person', issuer, subject };
}

function labelOf(text: string): RevocationSubject {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError('--label is name=value, as entries have it');
  return { kind: 'label', name: text.slice(0, at), value: text.slice(at + 1) };
}

function processOf(text: string): { pid: number; startTime: string } {
  const [, pid, startTime] = /^([0-9]{1,10}):(.{1,64})$/.exec(text) ?? [];
  if (pid === undefined || startTime === undefined)
    throw new UsageError('--process is pid:start, as in 4711:98234; the record of its session has both');
  return { pid: Number(pid), startTime };
}

import { Control, Entry } from '@countersign/sdk/contract';
import { hasAttributes, type IdentityAttributes } from '../../../model/index.ts';
import { type CallOptions, Code, type RpcClient, RpcError } from '../../../rpc/index.ts';
import {
  type CliCommand,
  exitCodes,
  flagOption,
  listOption,
  requiredOption,
  textOption,
  UsageError,
} from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { attributesMessage } from '../../entries/entry-attributes.ts';
import {
  type EntryNote,
  type NotedEntry,
  notesOnAttributes,
  notesOnOverlaps,
  notesOnSelectors,
} from '../../entries/entry-notes.ts';
import { attributesOf, type EntryText, entryMessage, entryValue, formatEntry } from '../../entries/entry-text.ts';
import { entriesAt } from '../../entries/warn-of-entries.ts';

export const command: CliCommand = {
  summary: 'Create a registration entry: which selectors give which identity.',
  options: [
    ['--spiffe-id <id>', 'the identity, spiffe://…'],
    ['--parent-id <id>', 'SPIFFE ID of the agent or node alias that it holds under'],
    ['--selector <type:value...>', 'a fact that must hold; give as many as needed'],
    ['--id <id>', 'id of the entry (default: the server makes one)'],
    ['--x509-ttl <duration>', 'life of its X.509-SVIDs'],
    ['--jwt-ttl <duration>', 'life of its JWT-SVIDs'],
    ['--dns-name <name...>', 'DNS name in its X.509-SVIDs'],
    ['--federates-with <domain...>', 'trust domain whose bundle it gets'],
    ['--hint <text>', 'what the identity is for, for workloads that have several'],
    ['--owner <text>', 'who answers for the identity; policies may ask about it'],
    ['--environment <text>', 'where it belongs, such as production; policies may ask about it'],
    ['--label <name=value...>', 'a label that policies may ask about; give as many as needed'],
    ['--admin', 'may call the operator API over mutual TLS'],
    ...serverOptions,
  ],
  examples: [
    'countersign entry create --spiffe-id spiffe://example.org/web --parent-id spiffe://example.org/countersign/nodes --selector unix:user:web',
  ],
  async run(context, input) {
    const text: EntryText = {
      id: textOption(input, 'id') ?? '',
      spiffeId: requiredOption(input, 'spiffeId'),
      parentId: requiredOption(input, 'parentId'),
      selectors: listOption(input, 'selector'),
      x509Ttl: textOption(input, 'x509Ttl'),
      jwtTtl: textOption(input, 'jwtTtl'),
      dnsNames: listOption(input, 'dnsName'),
      federatesWith: listOption(input, 'federatesWith'),
      hint: textOption(input, 'hint'),
      admin: flagOption(input, 'admin'),
      ...{ owner: textOption(input, 'owner'), environment: textOption(input, 'environment') },
      labels: labelsOf(listOption(input, 'label')),
    };
    const [entry, attributes] = [entryMessage(text), attributesOf(text)];
    const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
    return withServer(context, input, async (client) => {
      const created = entryValue(await create(client, { entry, attributes }, options), attributes);
      context.emit(created, () => formatEntry(created, context.columns));
      for (const { found, remedy } of notesOn(created, await entriesAt(client, options)))
        context.warn(`warning: ${found} (${remedy.replace(/\.$/, '')})`);
      return exitCodes.ok;
    });
  },
};

/** @throws RpcError with the server's refusal */
async function create(
  client: RpcClient,
  made: { readonly entry: ReturnType<typeof entryMessage>; readonly attributes: IdentityAttributes },
  options: CallOptions,
) {
  const { entry, attributes } = made;
  if (hasAttributes(attributes)) {
    const request = { entry, attributes: attributesMessage(attributes) };
    const answer = await client.unary(Control.method.createEntry, request, options);
    if (answer.entry !== undefined) return answer.entry;
  }
  const { results } = await client.unary(Entry.method.batchCreateEntry, { entries: [entry] }, options);
  const result = results[0];
  if (result?.entry && result.status?.code === 0) return result.entry;
  throw new RpcError(
    Object.values(Code).find((code) => code === result?.status?.code) ?? Code.UNKNOWN,
    result?.status?.message ?? 'the server gave no answer about the entry',
  );
}

function notesOn(created: NotedEntry, all: readonly NotedEntry[] = []): readonly EntryNote[] {
  return [...notesOnSelectors([created]), ...notesOnOverlaps([created], all), ...notesOnAttributes([created], all)];
}

/** @throws UsageError */
function labelsOf(texts: readonly string[]): Readonly<Record<string, string>> {
  const entries = texts.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError(`${text} is no label; it is written name=value, as in team=payments`);
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
  const names = new Set(entries.map(([name]) => name));
  if (names.size < entries.length) throw new UsageError('a label is given twice; each name has one value');
  return Object.fromEntries(entries);
}

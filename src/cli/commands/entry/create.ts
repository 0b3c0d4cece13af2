import { Entry } from '@countersign/sdk/contract';
import { type CallOptions, Code, type RpcClient, RpcError } from '../../../rpc/index.ts';
import { type CliCommand, exitCodes, flagOption, listOption, requiredOption, textOption } from '../../command.ts';
import { CALL_TIMEOUT_MS, serverOptions, withServer } from '../../connections/server-client.ts';
import { type EntryNote, type NotedEntry, notesOnOverlaps, notesOnSelectors } from '../../entries/entry-notes.ts';
import { entryMessage, entryValue, formatEntry } from '../../entries/entry-text.ts';
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
    ['--admin', 'may call the operator API over mutual TLS'],
    ...serverOptions,
  ],
  examples: [
    'countersign entry create --spiffe-id spiffe://example.org/web --parent-id spiffe://example.org/countersign/nodes --selector unix:user:web',
  ],
  async run(context, input) {
    const entry = entryMessage({
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
    });
    const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
    return withServer(context, input, async (client) => {
      const created = await create(client, entry, options);
      context.emit(entryValue(created), () => formatEntry(created, context.columns));
      for (const { found, remedy } of notesOn(entryValue(created), await entriesAt(client, options)))
        context.warn(`warning: ${found} (${remedy.replace(/\.$/, '')})`);
      return exitCodes.ok;
    });
  },
};

/** @throws RpcError with the server's refusal */
async function create(client: RpcClient, entry: ReturnType<typeof entryMessage>, options: CallOptions) {
  const { results } = await client.unary(Entry.method.batchCreateEntry, { entries: [entry] }, options);
  const result = results[0];
  if (result?.entry && result.status?.code === 0) return result.entry;
  throw new RpcError(
    Object.values(Code).find((code) => code === result?.status?.code) ?? Code.UNKNOWN,
    result?.status?.message ?? 'the server gave no answer about the entry',
  );
}

function notesOn(created: NotedEntry, all: readonly NotedEntry[] = []): readonly EntryNote[] {
  return [...notesOnSelectors([created]), ...notesOnOverlaps([created], all)];
}

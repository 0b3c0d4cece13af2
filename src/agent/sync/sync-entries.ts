import type { MessageShape } from '@bufbuild/protobuf';
import type { SyncAuthorizedEntriesResponseSchema } from '@countersign/sdk/contract/gen/spire/api/server/entry/v1/entry_pb.ts';
import type { Entry as EntryMessage } from '@countersign/sdk/contract/gen/spire/api/types/entry_pb.ts';
import { type Log, messageOf } from '../../std/index.ts';
import { toEntry } from '../attach/from-contract.ts';
import type { SyncCall } from '../attach/server-link.ts';
import type { AgentEntry } from '../cache/types.ts';
import { AgentError } from '../errors.ts';

/**
 * The client's half of SyncAuthorizedEntries: what this node may issue, asking in full only for what is new or changed. Few
 * entries come whole in answer to the first request; many come as revisions first, then as the pages that were asked for.
 * Entries that can't be used are skipped with a warning; entries unchanged since `known` keep their object.
 * @throws AgentError ERR_AGENT_SERVER_ANSWER, RpcError
 */
export async function syncEntries(
  call: SyncCall,
  known: ReadonlyMap<string, AgentEntry>,
  log: Log,
): Promise<AgentEntry[]> {
  const answers = call.responses[Symbol.asyncIterator]();
  const next = async (): Promise<Response> => {
    const answer = await answers.next();
    if (!answer.done) return answer.value;
    throw new AgentError('ERR_AGENT_SERVER_ANSWER', 'SyncAuthorizedEntries ended in the middle');
  };
  try {
    await call.send({ outputMask: MASK });
    const first = await next();
    const entries =
      first.entryRevisions.length > 0
        ? await syncByRevision(call, first, next, { known, log })
        : await readAll(first, next, { known, log });
    call.end();
    return entries;
  } finally {
    call.cancel(); // After a proper end this only lets go of the stream.
  }
}

type Response = MessageShape<typeof SyncAuthorizedEntriesResponseSchema>;
type Context = { readonly known: ReadonlyMap<string, AgentEntry>; readonly log: Log };

async function readAll(first: Response, next: () => Promise<Response>, context: Context): Promise<AgentEntry[]> {
  const entries = new Map<string, AgentEntry>();
  for (let page = first; ; page = await next()) {
    if (page.entryRevisions.length > 0) throw mixed();
    for (const message of page.entries) take(message, entries, context);
    if (!page.more) return [...entries.values()];
  }
}

async function syncByRevision(
  call: SyncCall,
  first: Response,
  next: () => Promise<Response>,
  context: Context,
): Promise<AgentEntry[]> {
  const entries = new Map<string, AgentEntry>();
  const wanted: string[] = [];
  const pageSize = first.entryRevisions.length;
  for (let page = first; ; page = await next()) {
    if (page.entries.length > 0) throw mixed();
    for (const { id, revisionNumber, createdAt } of page.entryRevisions) {
      const old = context.known.get(id);
      if (old && old.revision === Number(revisionNumber) && old.createdAtS === Number(createdAt)) entries.set(id, old);
      else wanted.push(id);
      if (entries.size + wanted.length > ENTRIES_MAX) throw tooMany();
    }
    if (!page.more) break;
  }
  for (let at = 0; at < wanted.length; at += pageSize) {
    await call.send({ ids: wanted.slice(at, at + pageSize) });
    for (;;) {
      const page = await next();
      if (page.entryRevisions.length > 0) throw mixed();
      for (const message of page.entries) take(message, entries, context);
      if (!page.more) break;
    }
  }
  return [...entries.values()];
}

function take(message: EntryMessage, into: Map<string, AgentEntry>, { known, log }: Context): void {
  if (into.size >= ENTRIES_MAX) throw tooMany();
  try {
    const old = known.get(message.id);
    const unchanged =
      old && old.revision === Number(message.revisionNumber) && old.createdAtS === Number(message.createdAt);
    const entry = unchanged ? old : toEntry(message);
    into.set(entry.id, entry);
  } catch (error) {
    // One unusable entry must not keep all others from their identities.
    log.warn('agent.sync.entry_skipped', { problem: messageOf(error) });
  }
}

function mixed(): AgentError {
  return new AgentError('ERR_AGENT_SERVER_ANSWER', 'SyncAuthorizedEntries mixed entries and revisions in one phase');
}

function tooMany(): AgentError {
  return new AgentError('ERR_AGENT_SERVER_ANSWER', `SyncAuthorizedEntries sent over ${ENTRIES_MAX} entries`);
}

/** Fields that the agent uses; the revision number is mandatory, the rest is what SPIRE's own agent asks for. */
const MASK = {
  spiffeId: true,
  selectors: true,
  federatesWith: true,
  admin: true,
  downstream: true,
  revisionNumber: true,
  storeSvid: true,
  hint: true,
  createdAt: true,
  additionalAttributes: true,
};
/** Ten times the largest node seen in the field; keeps a hostile or broken server from filling our memory. */
const ENTRIES_MAX = 100_000;

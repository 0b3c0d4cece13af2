import type { MessageInitShape } from '@bufbuild/protobuf';
import { Entry as EntryService } from '@countersign/sdk/contract';
import type {
  EntryRevisionSchema,
  SyncAuthorizedEntriesRequest,
  SyncAuthorizedEntriesResponseSchema,
} from '@countersign/sdk/contract/gen/spire/api/server/entry/v1/entry_pb.ts';
import type { EntryMask, Entry as EntryMessage } from '@countersign/sdk/contract/gen/spire/api/types/entry_pb.ts';
import type { Entry } from '../model/index.ts';
import {
  type EntryInput,
  type EntryResult,
  type EntryUpdate,
  entriesInPage,
  type Registration,
} from '../registration/index.ts';
import { type CallContext, Code, implement, type RpcService, type Send, type StatusCode } from '../rpc/index.ts';
import type { Log } from '../std/index.ts';
import { AUDITED_ITEMS_MAX, type Audit, codesOf } from './audit.ts';
import type { Authorizer } from './authorize.ts';
import { parseEntry, parseEntryFilter, parseInputMask, toEntryMessage } from './messages/entry-message.ts';
import { invalid, itemStatusOf, notFound, OK_STATUS } from './status.ts';

/** The SPIRE server's Entry API. */
export function entryService(deps: {
  log: Log;
  registration: Registration;
  authorizer: Authorizer;
  audit: Audit;
}): RpcService {
  const { registration, authorizer, audit } = deps;
  const authorizedEntries = (context: CallContext) => {
    const node = authorizer.agentOf(context);
    return registration.authorizedEntries(node.spiffeId, node.selectors).toSorted(byId);
  };
  return implement(EntryService, {
    async countEntries(request) {
      return { count: await registration.count(parseEntryFilter(request.filter)) };
    },
    async listEntries({ filter, outputMask, pageSize, pageToken }) {
      if (pageSize < 0) throw invalid('the page size is negative');
      const page = await registration.list({ filter: parseEntryFilter(filter), pageSize, pageToken });
      return {
        entries: page.entries.map((entry) => toEntryMessage(entry, outputMask)),
        nextPageToken: page.nextPageToken,
      };
    },
    async getEntry({ id, outputMask }) {
      if (id === '') throw invalid('the entry id is missing');
      const entry = await registration.get(id);
      if (entry === undefined) throw notFound('there is no entry with that id');
      return toEntryMessage(entry, outputMask);
    },
    async batchCreateEntry({ entries, outputMask }, context) {
      const create = (inputs: readonly EntryInput[]) => registration.batchCreate(inputs, { signal: context.signal });
      return audit.act(context, { target: 'entries', ...auditOfBatch(entries) }, () =>
        eachParsed({ deps, context, messages: entries, outputMask, parse: parseEntry, write: create }),
      );
    },
    async batchUpdateEntry({ entries, inputMask, outputMask }, context) {
      const mask = parseInputMask(inputMask);
      const parse = (message: EntryMessage): EntryUpdate => {
        const { id, ...entry } = parseEntry(message);
        return { id: id ?? '', entry, ...(mask && { mask }) };
      };
      const update = (updates: readonly EntryUpdate[]) => registration.batchUpdate(updates, { signal: context.signal });
      const { detail, outcome } = auditOfBatch(entries);
      // Without a mask an entry is replaced.
      const what = { target: 'entries', detail: { ...detail, fields: mask ? Array.from(mask) : ['*'] }, outcome };
      return audit.act(context, what, () =>
        eachParsed({ deps, context, messages: entries, outputMask, parse, write: update }),
      );
    },
    async batchDeleteEntry({ ids }, context) {
      const what = { target: 'entries', detail: { ids: ids.slice(0, AUDITED_ITEMS_MAX) }, outcome: codesOf };
      return audit.act(context, what, async () => {
        const results = await registration.batchDelete(ids, { signal: context.signal });
        return {
          results: results.map((result) => ({
            id: result.id,
            status: result.status === 'ok' ? OK_STATUS : { code: CODES[result.status], message: result.message },
          })),
        };
      });
    },
    async getAuthorizedEntries({ outputMask }, context) {
      return { entries: authorizedEntries(context).map((entry) => toEntryMessage(entry, outputMask)) };
    },
    async syncAuthorizedEntries(requests, context, send) {
      await syncEntries(requests, send, () => authorizedEntries(context));
    },
  });
}

/**
 * Parses each message of a batch, hands those that parsed to `write`, and puts all results in the order of the request.
 */
async function eachParsed<Parsed>(batch: {
  deps: { log: Log };
  context: CallContext;
  messages: readonly EntryMessage[];
  outputMask: EntryMask | undefined;
  parse: (message: EntryMessage) => Parsed;
  write: (parsed: readonly Parsed[]) => Promise<readonly EntryResult[]>;
}) {
  const parsed = batch.messages.map((message) => {
    try {
      return { ok: true, value: batch.parse(message) } as const;
    } catch (error) {
      return { ok: false, status: itemStatusOf(error, batch.deps.log, batch.context.method) } as const;
    }
  });
  const written = await batch.write(parsed.flatMap((item) => (item.ok ? [item.value] : [])));
  const results = written.values();
  return {
    results: parsed.map((item) => {
      if (!item.ok) return { status: item.status };
      const result = results.next().value;
      if (result === undefined) throw new Error('bug: registration answered fewer results than it was asked for');
      const entry = 'entry' in result ? { entry: toEntryMessage(result.entry, batch.outputMask) } : {};
      if (result.status === 'ok') return { status: OK_STATUS, ...entry };
      return { status: { code: CODES[result.status], message: result.message }, ...entry };
    }),
  };
}

/**
 * The server's half of the delta protocol: all entries at once when they fit one message; else pages of revisions, then pages of whatever
 * the agent asks for, until it closes its side. What it may have is decided once, at the start.
 */
async function syncEntries(
  requests: AsyncIterable<SyncAuthorizedEntriesRequest>,
  send: Send<typeof SyncAuthorizedEntriesResponseSchema>,
  authorizedEntries: () => readonly Entry[],
): Promise<void> {
  let entriesById: ReadonlyMap<string, Entry> | undefined;
  let mask: EntryMask | undefined;
  for await (const request of requests) {
    if (entriesById === undefined) {
      if (request.ids.length > 0) throw invalid('the first request can not ask for entries by id');
      if (request.outputMask?.revisionNumber === false) throw invalid('the revision number can not be masked out');
      mask = request.outputMask;
      const entries = authorizedEntries();
      if (entriesInPage(entries, PAGE_ENTRIES) === entries.length)
        return send({ entries: entries.map((entry) => toEntryMessage(entry, mask)) });
      for (const { items, more } of pages(entries, () => PAGE_ENTRIES))
        await send({ entryRevisions: items.map(toRevision), more });
      entriesById = new Map(entries.map((entry) => [entry.id, entry]));
      continue;
    }
    const known = entriesById;
    const wanted = [...new Set(request.ids)].flatMap((id) => known.get(id) ?? []);
    for (const { items, more } of pages(wanted, (rest) => entriesInPage(rest, PAGE_ENTRIES))) {
      await send({ entries: items.map((entry) => toEntryMessage(entry, mask)), more });
    }
  }
}

/** At least one page, though it may be empty: each request is answered. `countOf` says how many of the first go into one. */
function* pages(
  entries: readonly Entry[],
  countOf: (entries: readonly Entry[]) => number,
): Generator<{ items: readonly Entry[]; more: boolean }> {
  let rest = entries;
  do {
    const items = rest.slice(0, countOf(rest));
    rest = rest.slice(items.length);
    yield { items, more: rest.length > 0 };
  } while (rest.length > 0);
}

function toRevision(entry: Entry): MessageInitShape<typeof EntryRevisionSchema> {
  return {
    id: entry.id,
    revisionNumber: BigInt(entry.revisionNumber),
    createdAt: BigInt(entry.createdAtS),
  };
}

function auditOfBatch(entries: readonly EntryMessage[]) {
  return {
    detail: {
      count: entries.length,
      spiffeIds: entries
        .slice(0, AUDITED_ITEMS_MAX)
        .map(({ spiffeId }) => `spiffe://${spiffeId?.trustDomain}${spiffeId?.path}`),
    },
    outcome: ({ results }: { results: readonly { status?: { code: StatusCode }; entry?: { id?: string } }[] }) => ({
      ...codesOf({ results }),
      ids: results.slice(0, AUDITED_ITEMS_MAX).map(({ entry }) => entry?.id ?? ''),
    }),
  };
}

function byId(a: Entry, b: Entry): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

const CODES: Readonly<Record<'already-exists' | 'invalid' | 'not-found', StatusCode>> = {
  'already-exists': Code.ALREADY_EXISTS,
  invalid: Code.INVALID_ARGUMENT,
  'not-found': Code.NOT_FOUND,
};
/** Agents ask for as many entries at once as the first page held. */
const PAGE_ENTRIES = 500;

import type { MessageInitShape } from '@bufbuild/protobuf';
import { Records } from '@countersign/sdk/contract';
import type { RecordFilterSchema } from '@countersign/sdk/contract/gen/countersign/control/v1/records_pb.ts';
import { type CliCommand, type CliInput, exitCodes, flagOption, textOption, UsageError } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { ledgerLines } from '../../ledger/folder.ts';
import { spanOf } from '../../ledger/parse-time.ts';
import { recordOf, recordValue } from '../../record/records.ts';

export const command: CliCommand = {
  summary: 'Find entries of all ledgers at the server, newest first.',
  options: [
    ['--who <id>', 'whose: a SPIFFE ID, or its path from / on'],
    ['--object <name>', 'what was reached, by the last parts of its name: customers, public.customers, /v1/things'],
    ['--column <name>', 'what was read, written or masked of it'],
    ['--policy <id>', 'which policy allowed or refused it'],
    ['--shape <shape>', "operations that differ in values only, such as 'GET /v1/customers/{id}'"],
    ['--target <name>', 'which target'],
    ['--action <action>', 'such as postgres:delete'],
    ['--kind <kind>', `one of ${Object.keys(kinds()).join(', ')}`],
    ['--reason <reason>', 'why it was refused, such as policy-denied or no-identity'],
    ['--status <status>', 'how it ended, such as failed or over-limit'],
    ['--code <code>', "the protocol's own code, such as 42501"],
    ['--session <id>', 'of one session'],
    ['--masked', 'only what was masked'],
    ['--since <time>', 'not before: a time such as 2026-12-01T08:00:00Z, or so long ago, such as 1d'],
    ['--until <time>', 'not after: as for --since'],
    ['-n, --lines <count>', 'at most so many', '50'],
    ...serverOptions,
  ],
  lines: 'each entry',
  examples: [
    'countersign record search --who /shop/web --since 1d',
    'countersign record search --object public.customers --column ssn',
    'countersign record search --kind denial --since 1h -n 1000 --json',
  ],
  async run(context, input) {
    const filter = filterOf(input, context.clock.now());
    const lines = ledgerLines(context);
    let left = countOf(input);
    await withServer(context, input, async (client) => {
      let pageToken = '';
      do {
        const page = await client.unary(
          Records.method.searchRecords,
          { filter, pageSize: Math.min(left, PAGE), pageToken },
          { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS },
        );
        const found = page.records.map(recordOf);
        // An outcome comes before the intent that says what it was about.
        for (const { entry } of found) lines.pass(entry);
        for (const one of found) context.emit(recordValue(one), () => lines.line(one.entry, one.log));
        left -= found.length;
        pageToken = page.nextPageToken;
      } while (pageToken !== '' && left > 0);
    });
    return exitCodes.ok;
  },
};

/** @throws UsageError */
function filterOf(input: CliInput, nowMs: number): MessageInitShape<typeof RecordFilterSchema> {
  const text = (name: string) => textOption(input, name) ?? '';
  const kind = text('kind');
  if (kind !== '' && kinds()[kind] === undefined)
    throw new UsageError(`there is no kind ${kind}; kinds are ${Object.keys(kinds()).join(', ')}`);
  const { sinceMs = 0, untilMs = 0 } = spanOf(input, nowMs);
  return {
    ...{ identity: text('who'), target: text('target'), action: text('action'), session: text('session') },
    ...{ kind: kinds()[kind] ?? '', object: text('object'), column: text('column'), policy: text('policy') },
    ...{ reason: text('reason'), status: text('status'), shape: text('shape'), code: text('code') },
    masked: flagOption(input, 'masked'),
    ...{ sinceMs: BigInt(sinceMs), untilMs: BigInt(untilMs) },
  };
}

/** @throws UsageError */
function countOf(input: CliInput): number {
  const text = textOption(input, 'lines') ?? '';
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new UsageError('--lines is a whole number up to 999999');
  return Number(text);
}

/** As they are called in lines, and in entries. A function: the command above is made before any constant below it. */
function kinds(): Readonly<Record<string, string>> {
  return {
    ...{ intent: 'intent', outcome: 'outcome', denial: 'denial', open: 'session-open', close: 'session-close' },
    ...{ admin: 'admin', ledger: 'ledger' },
  };
}

const PAGE = 500;

import type { MessageInitShape } from '@bufbuild/protobuf';
import { Records } from '@countersign/sdk/contract';
import type { RecordFilterSchema } from '@countersign/sdk/contract/gen/countersign/control/v1/records_pb.ts';
import { type CliCommand, type CliInput, exitCodes, flagOption, textOption } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { kindOf, linesOf } from '../../ledger/entry-options.ts';
import { ledgerLines } from '../../ledger/folder.ts';
import { spanOf } from '../../ledger/parse-time.ts';
import { countsOf, recordOptions, spanOptions } from '../../record/record-options.ts';
import { recordValue, shownRecord } from '../../record/records.ts';

const LINES = 50;

export const command: CliCommand = {
  summary: 'Find entries of all ledgers at the server, newest first.',
  options: [
    ...recordOptions,
    ...spanOptions,
    ['-n, --lines <count>', 'at most so many', String(LINES)],
    ...serverOptions,
  ],
  lines: 'each entry',
  examples: [
    'countersign record search --who /shop/web --since 1d',
    'countersign record search --object public.customers --column ssn',
    'countersign record search --rows-min 10000 --since 7d',
    'countersign record search --kind denial --since 1h -n 1000 --json',
  ],
  async run(context, input) {
    const filter = filterOf(input, context.clock.now());
    const lines = ledgerLines(context);
    let left = linesOf(input) ?? LINES;
    await withServer(context, input, async (client) => {
      let pageToken = '';
      do {
        const page = await client.unary(
          Records.method.searchRecords,
          { filter, pageSize: Math.min(left, PAGE), pageToken },
          { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS },
        );
        const found = page.records.map(shownRecord);
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
  const { sinceMs = 0, untilMs = 0 } = spanOf(input, nowMs);
  return {
    ...{ identity: text('who'), target: text('target'), action: text('action'), session: text('session') },
    ...{ kind: kindOf(input) ?? '', object: text('object'), column: text('column'), policy: text('policy') },
    ...{ reason: text('reason'), status: text('status'), shape: text('shape'), code: text('code') },
    ...{ masked: flagOption(input, 'masked'), node: text('node') },
    ...Object.fromEntries(Object.entries(countsOf(input)).map(([name, count]) => [name, BigInt(count)])),
    ...{ sinceMs: BigInt(sinceMs), untilMs: BigInt(untilMs) },
  };
}

const PAGE = 500;
